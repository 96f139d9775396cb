"""Clips in, shards of anchors out."""
