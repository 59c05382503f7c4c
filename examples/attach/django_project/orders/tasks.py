"""The tasks of the orders, found by autodiscovery."""

from celery import shared_task


@shared_task
def ship(order: str, weight: float) -> dict[str, object]:
    """Choose a carrier for an order."""
    return {"order": order, "carrier": "truck" if weight > 30 else "bicycle"}
