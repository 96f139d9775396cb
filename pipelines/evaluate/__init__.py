"""``uss-evaluate``."""
