"""How long jobs take: as foretold, as it was, and what time limits they bear."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobNotFound
from jobplatform.jobs.limit_suggestion import suggest
from jobplatform.store import durations as rows
from jobplatform.store.shapes.duration import DurationDay, DurationEstimate, DurationListed, LimitSuggested

Row = Mapping[str, Any]

_SHOWN = ("job_type", "p10", "p50", "p90", "decided_by", "runs", "within", "inside", "updated_at")
_WEEK = timedelta(days=7)
_DAYS = 30


class Shown(NamedTuple):
    """The estimates of a job type, by key, and how true they were, by day."""

    estimates: Sequence[Annotated[Row, DurationEstimate]]
    days: Sequence[Annotated[Row, DurationDay]]


@action("durations.list", Permission.MODELS_READ)
def list_durations(
    desk: Desk, actor: Actor, limit: int, after: str = ""
) -> list[Annotated[dict[str, Any], DurationListed]]:
    """List job types by name with how long their jobs take; the shares are those of the last week.

    :param after: the last type of the page before.
    """
    with desk.look() as session:
        found = [_judged(row) for row in rows.types(session, desk.now() - _WEEK, limit, after)]
    return [{name: row[name] for name in _SHOWN} for row in found]


@action("durations.show", Permission.MODELS_READ)
def show_durations(desk: Desk, actor: Actor, job_type: str, limit: int) -> Shown:
    """Show the estimates of a job type, by key, and how true they were, by day.

    :raises JobNotFound: when no job of the type has completed.
    """
    with desk.look() as session:
        keys = [_rounded(row) for row in rows.of_type(session, job_type, limit)]
        days = [_judged(row) for row in rows.coverage(session, job_type, _DAYS)]
    if not keys:
        raise JobNotFound(f"durations: no job of type {job_type} has completed; see: jobplatform durations list")
    return Shown(keys, days)


@action("durations.suggest", Permission.MODELS_READ)
def suggest_limits(
    desk: Desk, actor: Actor, limit: int, after: str = ""
) -> list[Annotated[dict[str, Any], LimitSuggested]]:
    """Suggest time limits: seconds that hardly any run that ends well needs, so that one that hangs is ended."""
    with desk.look() as session:
        return [_limits(row) for row in rows.types(session, desk.now() - _WEEK, limit, after)]


def _limits(row: Row) -> dict[str, Any]:
    found = suggest(row["p90"], row["longest"], row["runs"])
    names = {"suggested": found and found.timeout, "soft": found and found.soft_timeout}
    reason = found.reason if found else f"{row['runs']} runs say too little"
    return {"job_type": row["job_type"], "timeout": row["timeout"], **names, "reason": reason}


def _judged(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give shares in the place of counts."""
    judged, runs = row["judged"] or 0, row.get("runs") or 0
    shares = {name: round(row[name] / judged, 3) if judged else None for name in ("within", "below", "above")}
    inside = round(1.0 - (row["below"] + row["above"]) / judged, 3) if judged else None
    error = round(row["error"] / judged, 3) if judged else None
    mean = round(row["seconds"] / runs, 3) if runs and row["seconds"] is not None else None
    day = {"day": row["day"].isoformat()} if "day" in row else {}
    return {**_rounded(row), **day, **shares, "inside": inside, "error": error, "mean": mean}


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give figures as people read them: three digits."""
    return {name: _short(value) if isinstance(value, float) else value for name, value in row.items()}


def _short(value: float) -> float:
    if not value or not math.isfinite(value):
        return value
    return round(value, max(0, 2 - math.floor(math.log10(abs(value)))))
