"""Jobs that are given secrets, and say more of them than they should."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

if "TRACED_JOBS_FILE" in os.environ:
    import traced_jobs  # noqa: F401

import jobplatform

logger = logging.getLogger("shop")


class Refused(Exception):
    """What a shop says."""


def connect(password: str) -> None:
    raise Refused(f"no such password: {password!r}")


@jobplatform.job(max_retries=0)
def loud(password: str, where: str, note: str = "") -> dict[str, str]:
    """Log what is masked by its name, and fail with it."""
    logger.warning("password=%s is used at %s", password, where)
    logger.info("headers are %s", {"Authorization": f"Bearer {password}", "api_key": password})
    print(f"token: {password}")
    try:
        connect(password="zq7kx9vw-source")
    except Refused as error:
        if note == "fine":
            logger.exception("it is fine")
            return {"token": password, "where": where}
        raise ValueError(f"cannot log in at {where}, secret='{password}'") from error
    return {}


@jobplatform.job(secret=("card", "customer.iban"), max_retries=1, retry={"base": 0.01, "cap": 0.05})
def pay(card: str, customer: dict[str, Any], fails: bool = True) -> dict[str, str]:
    """Fail twice with what the type hides."""
    logger.warning("%s of %s is charged", card, customer["iban"])
    print(card, file=sys.stderr)
    if fails:
        raise LookupError(f"the bank knows neither {card} nor {customer}")
    return {"said": "nothing"}


@jobplatform.job(encrypt=True, max_retries=1, retry={"base": 0.01, "cap": 0.05})
def hide(note: str, fails: int = 0) -> dict[str, str]:
    """Give back what is encrypted, or fail with it."""
    logger.warning("%s is looked for", note)
    if fails:
        raise Refused(f"nothing is known of {note}", note)
    return {"note": note}


@jobplatform.job(encrypt=True)
def extend(found: dict[str, str], more: str) -> str:
    """Go on from what another has found."""
    return f"{found['note']} and {more}"


@jobplatform.job(max_retries=0)
def urls() -> None:
    """Say by which servers it runs."""
    logger.warning("%s and %s", os.environ["DATABASE_URL"], os.environ["REDIS_URL"])
    raise ConnectionError(f"{os.environ['REDIS_URL']} is away; {os.environ['JOBPLATFORM_ALERT_SECRET']}")


@jobplatform.job
def tick(password: str) -> str:
    """Be fired by a schedule."""
    logger.info("password=%s", password)
    return "tock"
