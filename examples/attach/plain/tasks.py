"""The tasks of the shop, as they were before."""

from typing import Any

from shop import app


class CardNetworkBusy(Exception):
    """The card network asks to come again."""


@app.task
def invoice_total(prices: list[float], vat: float = 0.19) -> float:
    """Add the prices up, with value added tax."""
    return round(sum(prices) * (1 + vat), 2)


@app.task(bind=True, max_retries=3)
def charge(self: Any, order: str, amount: float) -> str:
    """Charge a card; the network is busy at first, as it often is."""
    if self.request.retries == 0:
        raise self.retry(exc=CardNetworkBusy(order), countdown=0.2)
    return f"{order}: {amount:.2f} charged"
