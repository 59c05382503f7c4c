"""Jobs of a shop, as they may be anywhere: for the pictures of the documentation."""

from __future__ import annotations

import time

from jobplatform import RetryRule, current_job, job

_RULE = RetryRule(base=0.2, cap=0.5)


@job(name="shop.charge", queue="payments", priority=4, max_retries=2, retry=_RULE, timeout=30, tags=("money",))
def charge(order: int, cents: int) -> dict[str, int]:
    """Charge the customer of an order."""
    if order % 7 == 0:
        raise ConnectionError("the bank closed the connection after 30 s")
    return {"order": order, "charged": cents}


@job(name="shop.pack", queue="warehouse", max_retries=3)
def pack(order: int, items: list[str]) -> dict[str, object]:
    """Have an order packed."""
    for done, item in enumerate(items, 1):
        current_job().progress(done, len(items), item)
        time.sleep(0.05)
    return {"order": order, "parcels": 1}


@job(name="shop.send_receipt", queue="mail", max_retries=5)
def send_receipt(order: int, address: str) -> str:
    """Send the receipt of an order."""
    return f"sent to {address}"


@job(name="shop.report", queue="reports", max_retries=1)
def report(month: str) -> str:
    """Write the report of a month."""
    return f"reports/{month}.pdf"
