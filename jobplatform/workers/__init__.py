"""Workers watched, judged and replaced."""
