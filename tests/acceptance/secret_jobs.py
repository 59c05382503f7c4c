"""Jobs with secrets, which say more than they should when they fail."""

from __future__ import annotations

import logging
import os
from typing import Any

import jobplatform


@jobplatform.job(secret=("card", "customer.iban"), max_retries=0)
def pay(card: str, customer: dict[str, Any], token: str) -> None:
    logging.getLogger("shop").warning("%s is charged", card)
    password = os.environ["DATABASE_URL"].partition("@")[0].rpartition(":")[2]
    raise ValueError(
        f"{card} of {customer['iban']} declined by https://shop:canary-url@bank.example/pay, {password}, token={token}"
    )


@jobplatform.job(encrypt=True, max_retries=0)
def hide(note: str, fails: bool = False) -> dict[str, str]:
    if fails:
        logging.getLogger("shop").warning("%s is looked for", note)
        raise ValueError(f"nothing is known of {note}")
    return {"note": note}


@jobplatform.job(encrypt=True)
def extend(found: dict[str, str], more: str) -> str:
    return f"{found['note']} and {more}"[::-1]


@jobplatform.job
def count(text: str) -> int:
    return len(text)
