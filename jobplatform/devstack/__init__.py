"""A PostgreSQL and a Redis of one's own, and the supervisor that runs the platform's processes on them."""
