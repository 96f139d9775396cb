"""Front ends and feature networks that taggers and separators share."""
