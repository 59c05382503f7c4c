"""Jobs that the pages of the dashboard have something to say about."""

from __future__ import annotations

from typing import Literal

from jobplatform import RetryRule, job


@job(tags=("demo",))
def greet(name: str, times: int = 1, tone: Literal["kind", "dry"] = "kind") -> str:
    """Say hello."""
    return f"hello {name}" * times


@job(max_retries=1, retry=RetryRule(base=0.05, cap=0.1))
def charge(customer: str, cents: int) -> None:
    """Fail, as a shop's bank does."""
    raise ConnectionError(f"bank refused {cents} of {customer}: <img src=x onerror=alert(1)>")


@job(queue="slow", max_retries=5)
def report(title: str) -> str:
    """Wait in a queue that nobody serves."""
    return title


class TornCard(Exception):
    """A kind of error of its own."""


class BurntCard(Exception):
    """Another."""


@job(max_retries=0)
def fail(kind: Literal["torn", "burnt"]) -> None:
    """Fail at once."""
    if kind == "torn":
        raise TornCard("it is torn")
    raise BurntCard("it is burnt")
