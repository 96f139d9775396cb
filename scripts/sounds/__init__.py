"""Synthesised sounds for tests, smoke training and the demo scene."""
