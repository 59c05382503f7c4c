"""Failures of machines foretold on real traces."""
