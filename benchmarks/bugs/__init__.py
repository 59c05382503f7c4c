"""Jobs with planted bugs, which fail with other words each time; copies of them are imported by ``fingerprints.py``."""
