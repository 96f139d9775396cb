"""Pieces in, files out: stems, results, pictures, reports."""
