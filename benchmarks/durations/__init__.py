"""Foretelling how long jobs take, on real traces."""
