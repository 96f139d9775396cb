"""The second pass: stems of what was found or asked for."""
