"""The project; Celery's application is loaded with it, so that ``shared_task`` finds it."""

from project.celery import app

__all__ = ["app"]
