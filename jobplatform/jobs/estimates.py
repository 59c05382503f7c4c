"""How long jobs are foretold to take, as a submitting process knows it: a copy of what the controller writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jobplatform.jobs.hungry import Hungry
    from jobplatform.jobs.options import JobOptions

#: A copy of the estimates of a job type is no older than this, in seconds.
_OLDEST = 30.0
#: Job types whose estimates are held at once; of more, those that were asked for first are forgotten.
_MOST_TYPES = 500
_LONGEST_KEY = 200
_DIGEST = 16


class Estimate(NamedTuple):
    """What is foretold of a job, in seconds: a tenth takes less than ``p10``, a tenth more than ``p90``."""

    p10: float
    p50: float
    p90: float
    decided_by: str


class Estimates:
    """Tell what is foretold of a job, from memory but for a look now and then.

    :param ask: reads the estimates of a job type by key; None where nobody can tell.
    """

    def __init__(self, ask: Callable[[str], Mapping[str, Estimate] | None]) -> None:
        self.ask = ask
        self._known: dict[str, tuple[float, Mapping[str, Estimate]]] = {}

    def of(self, job_type: str, key: str | None, now: float) -> Estimate | None:
        """Give what is foretold of a job, by its key or else by its type.

        :param now: seconds since the epoch.
        """
        at, found = self._known.get(job_type, (0.0, {}))
        if not 0.0 <= now - at < _OLDEST:
            # Where nobody can tell, what was known before still is more than nothing.
            found = self.ask(job_type) or found
            self._keep(job_type, now, found)
        return found.get(key or "") or found.get("")

    def _keep(self, job_type: str, now: float, found: Mapping[str, Estimate]) -> None:
        if len(self._known) >= _MOST_TYPES and job_type not in self._known:
            del self._known[next(iter(self._known))]
        self._known[job_type] = now, found


class Outlook(NamedTuple):
    """Where a job goes, and what its row holds of what is foretold of it."""

    queue: str
    columns: Mapping[str, Any]


def outlook(
    estimates: Estimates, hungry: Hungry, declared: JobOptions, queue: str, key: str | None, now: float
) -> Outlook:
    """Foretell a job of a type, and send it to the queue of those that take much memory, or long, if it may be one.

    :param queue: where it goes otherwise.
    :param key: what tells its runs apart from others of its type.
    :param now: seconds since the epoch.
    """
    found = estimates.of(declared.name, key, now)
    if declared.large_queue and hungry.holds(declared.name, now):
        queue = declared.large_queue
    elif found and declared.long_queue and declared.long_after and found.p90 > declared.long_after:
        queue = declared.long_queue
    return Outlook(queue, {**({"duration_key": key} if key else {}), **columns_of(found)})


def columns_of(estimate: Estimate | None) -> dict[str, Any]:
    """Give what a job's row holds of what is foretold of it."""
    if estimate is None:
        return {}
    p10, p50, p90, decided_by = estimate
    return {"predicted_p10": p10, "predicted_p50": p50, "predicted_p90": p90, "predicted_by": decided_by}


def key_of(names: Sequence[str], arguments: Mapping[str, Any]) -> str | None:
    """Write the values of some arguments as one text, None when there are no names; one that is left out counts too."""
    if not names:
        return None
    text = " ".join(f"{name}={json.dumps(arguments.get(name), default=str)}" for name in names)
    if len(text) <= _LONGEST_KEY:
        return text
    return f"{text[: _LONGEST_KEY - _DIGEST]}{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]}"
