"""Scenes whose events are known: rendered, detected, separated and scored."""
