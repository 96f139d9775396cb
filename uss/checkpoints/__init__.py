"""Names and files in, networks out."""
