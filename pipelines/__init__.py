"""The commands: each a function from arguments to an exit status."""
