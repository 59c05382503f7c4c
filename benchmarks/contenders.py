"""Who is measured: the applications and how their workers are started."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to run jobs.

    :param application: what ``celery -A`` takes.
    :param module: where its tasks are.
    :param nodes: the arguments of each worker process.
    :param launcher: what ``python -m`` takes to run Celery's command line.
    :param durable: whether it is ours, with rows, journal and a controller.
    """

    name: str
    application: str
    module: str
    nodes: tuple[tuple[str, ...], ...]
    durable: bool = False
    launcher: tuple[str, ...] = ("benchmarks.apps.alone",)


_PREFORK = (("-c", "2"),)
_SOLO2 = (("-P", "solo", "-n", "first@%h"), ("-P", "solo", "-n", "second@%h"))
_OURS = ("jobplatform", "benchmarks.apps.ours")

CELERY = Contender("celery", "benchmarks.apps.plain", "benchmarks.apps.plain", _PREFORK)
BARE = replace(CELERY, name="celery_bare", launcher=("benchmarks.apps.alone", "--bare"))
CELERY_PG = Contender("celery_pg", "benchmarks.apps.with_backend", "benchmarks.apps.with_backend", _PREFORK)
CELERY_REDIS = Contender(
    "celery_redis", "benchmarks.apps.with_redis_results", "benchmarks.apps.with_redis_results", _PREFORK
)
PREFORK = Contender("prefork", *_OURS, _PREFORK, durable=True, launcher=("celery",))
SOLO2 = Contender("solo2", *_OURS, _SOLO2, durable=True, launcher=("celery",))
