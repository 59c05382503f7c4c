"""The Celery applications that are measured; all run the same functions."""
