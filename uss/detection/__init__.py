"""The first pass: what is in a recording, and when."""
