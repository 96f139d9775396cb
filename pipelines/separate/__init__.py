"""``uss-separate``."""
