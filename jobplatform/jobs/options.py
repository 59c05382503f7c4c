"""What ``@job`` and a submit call may say; checked at import and at submit."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from jobplatform.errors import JobOptionError
from jobplatform.jobs.hiding import NOTHING, Hiding
from jobplatform.jobs.retry import DEFAULT, RetryRule
from jobplatform.jobs.schedule import Schedule
from jobplatform.jobs.signature import Signature
from jobplatform.jobs.unique import Unique
from jobplatform.limits import Limit, names_in, parse_rate


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What is fixed for a job type.

    :param timeout: seconds after which an attempt is killed.
    :param soft_timeout: seconds after which ``SoftTimeLimitExceeded`` is raised in the job.
    :param payload: a pydantic model of the keyword arguments, which the function then receives.
    :param deadline: seconds from the submission by which it has to be done, all attempts included.
    :param schedule: when it runs by itself.
    :param unique: of which of its jobs there is one at a time.
    :param limit_key: whose limits its jobs share, such as ``tenant:{tenant}``, filled in with arguments and the tenant.
    :param units: how much of each limit a job takes.
    :param slots: units of its jobs that run at once, over all workers.
    :param rate: units of its jobs that begin in a time, over all workers, such as ``100/m``.
    :param duration_key: the names of arguments whose values tell how long a job takes.
    :param long_queue: where jobs go that may take longer than ``long_after`` seconds (which a tenth of their like
        exceed), so that short ones wait for no long one.
    :param large_queue: where jobs go while their type is found to take much more memory than others.
    :param secret: the names of arguments, or paths into them such as ``customer.iban``, that are masked wherever jobs
        are shown and taken out of what their errors say.
    :param encrypt: keep arguments and results so that only who has the key can read them.
    :param tool: whether agents are offered to submit its jobs: by plans that a person approves, or ``free`` of that.
    :param logs: whether what its attempts log is kept with them; None leaves it to the settings.
    """

    name: str
    signature: Signature
    queue: str | None = None
    priority: int = 1
    max_retries: int = 5
    timeout: float | None = None
    soft_timeout: float | None = None
    deadline: float | None = None
    retry: RetryRule = field(default_factory=lambda: DEFAULT)
    tags: tuple[str, ...] = ()
    schedule: Schedule | None = None
    unique: Unique | None = None
    limit_key: str | None = None
    units: int = 1
    slots: int | None = None
    rate: str | None = None
    duration_key: tuple[str, ...] = ()
    long_queue: str | None = None
    long_after: float | None = None
    large_queue: str | None = None
    secret: tuple[str, ...] = ()
    encrypt: bool = False
    tool: bool | str = False
    logs: bool | None = None

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 100:
            raise JobOptionError(f"name: {self.name!r} has {len(self.name)} characters; give it 1 to 100")
        check_priority(self.priority)
        if isinstance(self.max_retries, bool) or not isinstance(self.max_retries, int) or self.max_retries < 0:
            raise JobOptionError(f"max_retries: {self.max_retries!r} is no count; give a whole number from 0")
        if (self.long_queue is None) != (self.long_after is None):
            raise JobOptionError("long_queue: it goes with long_after; give both, or none")
        for name in ("timeout", "soft_timeout", "deadline", "long_after"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and value > 0):
                raise JobOptionError(f"{name}: {value!r} is no time; give seconds above 0")
        if self.timeout and self.soft_timeout and self.soft_timeout >= self.timeout:
            raise JobOptionError("soft_timeout: it is not below timeout; lower it, so that the job can clean up")
        for name in self.duration_key:
            if not self.signature.takes(name):
                raise JobOptionError(f"duration_key: {name!r} is no argument of {self.name}; name one that it takes")
        for path in self.secret:
            if not self.signature.takes(path.partition(".")[0]):
                raise JobOptionError(f"secret: {path!r} is no argument of {self.name}; name one that it takes")
        if self.encrypt:
            self._refuse_revealing()
        if self.tool not in (True, False, "free"):
            raise JobOptionError(f"tool: {self.tool!r} is not known; give True, False or 'free'")
        if self.tool is True and (self.secret or self.encrypt):
            raise JobOptionError(
                f"tool: plans of agents keep what is secret of {self.name}; leave it out, or say 'free'"
            )
        check_units(self.units)
        _ = self.limit
        if not isinstance(self.retry, RetryRule):
            raise JobOptionError(
                f"retry: {self.retry!r} is no RetryRule; give jobplatform.RetryRule(base=..., cap=...)"
            )

    def _refuse_revealing(self) -> None:
        """Refuse what would keep values of arguments, or hashes that anybody can guess at, beside what is encrypted."""
        if self.duration_key:
            raise JobOptionError(f"duration_key: it keeps what encrypt hides of {self.name}; leave out one of the two")
        self.refuse_keys(self.unique, self.limit_key)

    def refuse_keys(self, unique: Unique | None, limit_key: str | None) -> None:
        """Refuse keys that keep arguments of an encrypted job.

        :raises JobOptionError: when there is one.
        """
        if unique is not None:
            raise JobOptionError(f"unique: it keeps what encrypt hides of {self.name}; leave out one of the two")
        if limit_key and set(names_in(limit_key)) - {"tenant"}:
            raise JobOptionError(
                f"limit_key: {limit_key!r} keeps arguments that encrypt hides of {self.name}; name only tenant"
            )

    @property
    def hiding(self) -> Hiding:
        """What is to be hidden of its jobs."""
        return Hiding(tuple(self.secret_paths), self.encrypt) if self.secret or self.encrypt else NOTHING

    @property
    def secret_paths(self) -> list[str]:
        """Where in a payload secrets are, by name and by position."""
        found = []
        for path in self.secret:
            name, dot, rest = path.partition(".")
            place = self.signature.place_of(name)
            found += [f"kwargs.{path}", *([] if place is None else [f"args.{place}{dot}{rest}"])]
        return found

    @property
    def limit(self) -> Limit | None:
        """The limit that it declares for its jobs.

        :raises LimitError: when it cannot be used.
        """
        if self.slots is None and self.rate is None:
            return None
        return Limit(f"type:{self.name}", self.slots, None if self.rate is None else parse_rate(self.rate))


def check_units(units: Any) -> int:
    """Give units back if they are a count.

    :raises JobOptionError: when they are not.
    """
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        raise JobOptionError(f"units: {units!r} is no count; give a whole number from 1")
    return units


def check_priority(priority: Any) -> int:
    """Give the priority back if it is one.

    :raises JobOptionError: when it is not 1 to 5.
    """
    if isinstance(priority, bool) or not isinstance(priority, int) or not 1 <= priority <= 5:
        raise JobOptionError(f"priority: {priority!r} is not 1 to 5; give 5 to the most urgent")
    return priority


def refuse_unknown(given: Mapping[str, Any], known: frozenset[str] | set[str], where: str) -> None:
    """Refuse options that are not known, with a hint at the likely one.

    :raises JobOptionError: when there is one.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(sorted(known))}"
            raise JobOptionError(f"{where}: unknown option {name!r}; {hint}")


JOB_OPTIONS = frozenset(item.name for item in fields(JobOptions)) - {"signature"} | {"payload", "bind", "timezone"}
