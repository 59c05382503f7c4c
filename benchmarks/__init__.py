"""How fast the platform is, beside plain Celery, in the same run on the same machine."""
