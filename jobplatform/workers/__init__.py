"""Workers: how they are watched, replaced and kept at their number."""
