"""The retry simulator: every policy faces the same worlds, drawn once a seed."""
