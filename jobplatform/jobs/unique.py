"""Which jobs there is only one of at a time, as ``@job`` and submissions say it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobplatform.errors import JobOptionError
from jobplatform.records import NewJob

_SCOPES = ("waiting", "unfinished", "period")
_MODES = ("existing", "reject", "replace", "debounce", "keep_last")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Unique:
    """Let there be one job with a key.

    :param key: a text, in which ``{name}`` stands for an argument; the job type and all arguments if not given.
    :param scope: for how long a job keeps its key: while it is ``waiting``, while it is ``unfinished``, or for a
        ``period`` from its submission.
    :param mode: what becomes of a submission whose key is taken: the ``existing`` job stands for it; it is refused
        (``reject``); the job that waits gets its arguments and time (``replace``, and ``debounce``, which wants a
        countdown); or it also waits for the end of the one that runs (``keep_last``, with the scope ``waiting``).
    :param period: seconds.
    """

    key: str | None = None
    scope: str = "unfinished"
    mode: str = "existing"
    period: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("scope", _SCOPES), ("mode", _MODES)):
            if getattr(self, name) not in known:
                raise JobOptionError(
                    f"unique: {name}: {getattr(self, name)!r} is not known; give one of {', '.join(known)}"
                )
        if (self.scope == "period") != (self.period is not None) or not (self.period is None or self.period > 0):
            raise JobOptionError("unique: period: give seconds above 0 with the scope 'period', and with no other")
        if self.mode == "keep_last" and self.scope != "waiting":
            raise JobOptionError("unique: mode: 'keep_last' keeps one that waits; give the scope 'waiting'")

    def key_of(self, job_type: str, payload: str, names: Mapping[str, Any]) -> str:
        """Give the key of one submission.

        :param names: the arguments by name.
        :raises JobOptionError: when the key names an argument that is not there, or is too long.
        """
        if self.key is None:
            return f"{job_type}:{hashlib.sha256(payload.encode()).hexdigest()}"
        try:
            key = self.key.format_map(names)
        except (LookupError, ValueError, AttributeError) as error:
            raise JobOptionError(
                f"unique: key: {self.key!r} names {error}, which is no argument of this job"
            ) from error
        if not 1 <= len(key) <= _LONGEST:
            raise JobOptionError(f"unique: key: it has {len(key)} characters; give it 1 to {_LONGEST}")
        return key

    def mark(self, job: NewJob, key: str, now: float) -> NewJob:
        """Give the job with its key.

        :param now: seconds since the epoch.
        :raises JobOptionError: when it is to be debounced, and has no time.
        """
        if self.mode == "debounce" and job.scheduled_at is None:
            raise JobOptionError("unique: mode: 'debounce' waits for quiet; give a countdown")
        until = None if self.period is None else now + self.period
        return replace(job, unique_key=key, unique_scope=self.scope, unique_until=until, unique_mode=self.mode)
