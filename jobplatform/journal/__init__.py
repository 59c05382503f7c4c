"""The journal: the ordered transitions, written in Redis and mirrored into the tables."""
