"""The orders of the project."""
