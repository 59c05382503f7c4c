"""Failed attempts to the clusters of errors that they count for; no input or output happens here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from jobplatform.decision import FailedAttempt

_SAMPLE_LIMIT = 2_000


def cluster_rows(failures: Iterable[FailedAttempt], recorded: Collection[tuple[str, int]]) -> list[dict[str, Any]]:
    """Sum up failed attempts by their fingerprint.

    :param recorded: the attempts that were not counted before; others are passed over, and so is what only interrupted
        a job.
    """
    groups: dict[str, list[FailedAttempt]] = {}
    for failed in failures:
        if (failed.job_id, failed.attempt) in recorded and _is_error(failed):
            groups.setdefault(failed.fingerprint, []).append(failed)
    return [_row(group) for group in groups.values()]


def _is_error(failed: FailedAttempt) -> bool:
    return bool(failed.error.get("died") or not failed.error.get("interrupted"))


def _row(group: list[FailedAttempt]) -> dict[str, Any]:
    sample = max(group, key=lambda failed: failed.at)
    return {
        "fingerprint": sample.fingerprint,
        "error_type": str(sample.error.get("type")),
        "text": sample.identity,
        "dependency": sample.dependency,
        "sample": str(sample.error.get("message", ""))[:_SAMPLE_LIMIT],
        "traceback": sample.error.get("traceback"),
        "sample_job": sample.job_id,
        "job_types": Counter(failed.facts.job_type for failed in group),
        "releases": sorted({str(failed.error["release"]) for failed in group if failed.error.get("release")}),
        "errors": len(group),
        "first_seen": min(failed.at for failed in group),
        "last_seen": sample.at,
    }
