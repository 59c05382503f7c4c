"""The doctor: is everything that the platform stands on fit to carry it, and if not, how is it mended?

``read`` looks; the judges are pure functions of what it saw.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version

from jobplatform.journal import inspection
from jobplatform.journal.inspection import RedisReading
from jobplatform.settings import Settings
from jobplatform.store import dead_letters, leadership, listing, migrate, pauses, quarantine
from jobplatform.store.database import UNREACHABLE, Database
from jobplatform.transport import keys

LEAST_POSTGRES = 14
LEAST_REDIS = (6, 2)
MOST_MEMORY = 0.7
MOST_SKEW_SECONDS = 2.0
#: The first version that is supported, and the first that is not.
SUPPORTED = {"celery": ((5, 6, 3), (5, 8)), "kombu": ((5, 6, 2), (5, 8))}


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check; ``fix`` says how to mend what is not ok."""

    check: str
    level: Level
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class PostgresReading:
    """The state of PostgreSQL; ``clock_skew`` in seconds, positive when it is ahead of this machine.

    ``quarantined`` counts what waits in quarantine, ``paused`` names queues and job types; empty without our tables.
    """

    version: int
    revision: str | None
    clock_skew: float
    quarantined: int = 0
    paused: tuple[str, ...] = ()
    read_only: bool = False
    #: Dead letters that nobody has resolved for more than ``letter_days``.
    forgotten: int = 0
    letter_days: float = 0.0


@dataclass(frozen=True, slots=True)
class Readings:
    """All that the doctor looked at; a text in place of a reading says why there is none."""

    postgres: PostgresReading | str
    redis: RedisReading | str
    head: str
    packages: dict[str, str]


def read(settings: Settings) -> Readings:
    """Look at PostgreSQL, Redis and the installed packages; whatever is away is noted, not raised."""
    return Readings(
        postgres=_read_postgres(settings),
        redis=_read_redis(settings),
        head=migrate.head(),
        packages={name: version(name) for name in SUPPORTED},
    )


def judge(readings: Readings) -> list[Finding]:
    """Judge the readings, one finding a check."""
    findings = list(judge_packages(readings.packages))
    if isinstance(readings.postgres, str):
        fix = "start it and set DATABASE_URL, or run: jobplatform up"
        findings.append(Finding("PostgreSQL", Level.FAIL, readings.postgres, fix))
    else:
        findings += judge_postgres(readings.postgres, readings.head)
    if isinstance(readings.redis, str):
        fix = "start it and set REDIS_URL, or run: jobplatform up"
        findings.append(Finding("Redis", Level.FAIL, readings.redis, fix))
    else:
        findings += judge_redis(readings.redis)
    return findings


def judge_packages(packages: dict[str, str]) -> Iterator[Finding]:
    """Check that the installed versions are supported ones."""
    for name, installed in packages.items():
        low, high = SUPPORTED[name]
        supported = low <= tuple(int(part) for part in re.findall(r"\d+", installed)[:3]) < high
        wanted = f"'{name}>={_dotted(low)},<{_dotted(high)}'"
        yield Finding(
            f"{name} version",
            Level.OK if supported else Level.FAIL,
            installed if supported else f"{installed} is not supported",
            "" if supported else f"run: pip install {wanted}",
        )


def judge_postgres(reading: PostgresReading, head: str) -> Iterator[Finding]:
    """Check the version of PostgreSQL, that it takes writes, its migration and its clock."""
    major = reading.version // 10_000
    if major >= LEAST_POSTGRES:
        yield Finding("PostgreSQL", Level.OK, f"reachable, version {major}")
    else:
        found = f"version {major} is older than {LEAST_POSTGRES}"
        yield Finding("PostgreSQL", Level.FAIL, found, f"upgrade to PostgreSQL {LEAST_POSTGRES} or newer")
    if reading.read_only:
        fix = "point DATABASE_URL to the primary, or set default_transaction_read_only off"
        yield Finding("PostgreSQL writes", Level.FAIL, "it takes none: it is read-only", fix)
    if reading.revision == head:
        yield Finding("migration", Level.OK, f"at {head}, the newest")
    else:
        found = f"the database is at {reading.revision or 'none'}, this code at {head}"
        yield Finding("migration", Level.FAIL, found, "run: jobplatform migrate")
    yield judge_clock("PostgreSQL clock", reading.clock_skew)
    yield judge_quarantine(reading.quarantined)
    yield judge_dead_letters(reading.forgotten, reading.letter_days)
    if reading.paused:
        found, fix = ", ".join(reading.paused), "see: jobplatform queues list, jobplatform types list"
        yield Finding("paused", Level.WARN, found, fix)


def judge_quarantine(count: int) -> Finding:
    """Check that nothing waits in quarantine."""
    if not count:
        return Finding("quarantine", Level.OK, "empty")
    found = f"{count} messages or journal entries could not be read"
    return Finding("quarantine", Level.WARN, found, "see: jobplatform quarantine list")


def judge_dead_letters(forgotten: int, days: float) -> Finding:
    """Check that somebody works on the dead letters: those that nobody resolves are kept for ever."""
    if not forgotten:
        return Finding("dead letters", Level.OK, f"none is open for more than {days:g} days")
    found = f"{forgotten:,} are open for more than {days:g} days, and are never deleted"
    return Finding("dead letters", Level.WARN, found, "see: jobplatform dlq list; replay or resolve them")


def judge_redis(reading: RedisReading) -> Iterator[Finding]:
    """Check the version, the safety of what Redis holds, its memory, its clock and the controller."""
    dotted, least = _dotted(reading.version), _dotted(LEAST_REDIS)
    if reading.version >= LEAST_REDIS:
        yield Finding("Redis", Level.OK, f"reachable, version {dotted}")
    else:
        found = f"version {dotted} is older than {least}"
        yield Finding("Redis", Level.FAIL, found, f"upgrade to Redis {least} or newer")
    yield judge_eviction(reading.eviction_policy)
    yield judge_durability(reading.appendonly)
    yield judge_memory(reading.memory_used, reading.memory_limit)
    yield judge_clock("Redis clock", reading.clock_skew)
    if reading.controller_alive:
        yield Finding("controller", Level.OK, "alive")
    else:
        fix = "start one: celery -A jobplatform controller"
        yield Finding("controller", Level.WARN, "no controller is alive, so retries and schedules wait", fix)


def judge_eviction(policy: str | None) -> Finding:
    """Check that Redis never drops queued jobs to make room."""
    name = "Redis maxmemory-policy"
    if policy is None:
        return Finding(name, Level.WARN, "Redis does not tell its policy", "make sure that it is noeviction")
    if policy.startswith(("allkeys-", "volatile-")):
        found = f"{policy} evicts keys: under memory pressure queued jobs vanish"
        return Finding(name, Level.FAIL, found, "set maxmemory-policy noeviction in redis.conf")
    return Finding(name, Level.OK, policy)


def judge_durability(appendonly: bool | None) -> Finding:
    """Check that a restart of Redis keeps what it holds."""
    if appendonly:
        return Finding("Redis appendonly", Level.OK, "on")
    found = "off" if appendonly is not None else "Redis does not tell whether it is on"
    return Finding("Redis appendonly", Level.WARN, found, "set appendonly yes, so that a restart loses nothing")


def judge_memory(used: int, limit: int) -> Finding:
    """Check that Redis has headroom.

    :param used: bytes.
    :param limit: bytes; 0 when unknown.
    """
    if not limit:
        return Finding("Redis memory", Level.WARN, "Redis does not tell its limit", "set maxmemory")
    found = f"{used / limit:.0%} of {limit / 2**20:.0f} MiB used"
    if used > MOST_MEMORY * limit:
        return Finding("Redis memory", Level.WARN, found, "raise maxmemory, or add workers")
    return Finding("Redis memory", Level.OK, found)


def judge_clock(name: str, skew: float) -> Finding:
    """Check that a server's clock agrees with this machine's.

    :param skew: seconds that the server is ahead.
    """
    found = f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine"
    if abs(skew) > MOST_SKEW_SECONDS:
        return Finding(name, Level.FAIL, found, "synchronize the clocks with NTP, for instance by chrony")
    return Finding(name, Level.OK, found)


def _read_postgres(settings: Settings) -> PostgresReading | str:
    if not settings.database_url:
        return "DATABASE_URL is not set"
    try:
        with closing(Database(settings, pool_size=1)) as database:
            with database.session() as session:
                server = listing.server_version(session)
                asked = time.time()
                said = leadership.probe(session)
                skew = said.now - (asked + time.time()) / 2
            revision = migrate.current(database)
            if revision != migrate.head():
                return PostgresReading(server, revision, skew, read_only=said.read_only)
            with database.session() as session:
                paused = tuple(f"{row['scope']} {row['name']}" for row in pauses.list_pauses(session))
                return PostgresReading(
                    server, revision, skew, quarantine.count_open(session), paused, said.read_only,
                    dead_letters.count_forgotten(session, settings.dead_letter_days), settings.dead_letter_days,
                )  # fmt: skip
    except UNREACHABLE as error:
        return f"it cannot be reached: {_first_line(getattr(error, 'orig', None) or error)}"


def _read_redis(settings: Settings) -> RedisReading | str:
    if not settings.redis_url:
        return "REDIS_URL is not set"
    try:
        return inspection.read_redis(settings.redis_url, settings.connect_seconds, keys.CONTROLLER)
    except inspection.UNREADABLE as error:
        return f"it cannot be read: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
