"""Results in the formats of other programs: labels and sessions, written and read."""
