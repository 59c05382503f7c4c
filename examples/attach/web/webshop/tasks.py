"""The tasks of the shop."""

from celery import shared_task
from flask import current_app


@shared_task
def pack(order: str, items: list[str]) -> dict[str, object]:
    """Pack an order; the application's configuration is at hand, as in a view."""
    return {"order": order, "parcels": -(-len(items) // 2), "queue": current_app.config["CELERY"]["task_default_queue"]}
