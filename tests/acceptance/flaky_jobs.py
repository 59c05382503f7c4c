"""Jobs that call a server which fails."""

from __future__ import annotations

import urllib.request

from jobplatform import RetryRule, job


@job(max_retries=4, retry=RetryRule(base=0.3, cap=3.0))
def fetch(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.status)


@job(max_retries=3, retry=RetryRule(base=0.5, cap=60.0))
def fetch_patiently(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.status)


@job(max_retries=0)
def stroll() -> str:
    return "nothing to do with any server"
