"""What the embedded text encoder is trained from, and how."""
