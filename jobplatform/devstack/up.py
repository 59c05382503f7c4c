"""What ``jobplatform up`` does: the stack, the tables, and every process on one machine."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from jobplatform.devstack.ports import claim, claim_free, is_free, release
from jobplatform.devstack.stack import DevStack
from jobplatform.devstack.supervisor import ProcessSpec, run, stop_on_signals
from jobplatform.settings import Settings

#: What a worker takes to leave beyond the time that its running jobs have.
_LEAVING_SECONDS = 5.0


class Sizes(NamedTuple):
    """How many workers there are at least and at most."""

    least: int
    most: int


def process_specs(
    settings_env: Mapping[str, str], app: str = "jobplatform", concurrency: int = 2, fleet: Sizes | None = None
) -> list[ProcessSpec]:
    """List the processes of the platform in the order of their start.

    :param settings_env: the whole environment that each process gets.
    :param app: the Celery application, as ``celery -A`` takes it.
    :param concurrency: the pool children of the worker.
    :param fleet: lets the controller keep so many workers, instead of one that is kept here.
    """
    celery = (sys.executable, "-m", "celery", "-A", app)
    arguments = {
        "worker": ("worker", "-c", str(concurrency), "-l", "INFO"),
        "controller": ("controller",),
        "beat": ("beat",),
    }
    if fleet is not None:
        del arguments["worker"]
        settings_env = {**settings_env, **fleet_environment(settings_env, app, concurrency, fleet)}
    # Without it a process that writes to a pipe shows its log only when a block is full.
    env = {**settings_env, "PYTHONUNBUFFERED": "1"}
    web = ProcessSpec("web", (sys.executable, "-m", "jobplatform.cli", "web"), env)
    return [*(ProcessSpec(name, (*celery, *rest), env) for name, rest in arguments.items()), web]


def fleet_environment(environ: Mapping[str, str], app: str, concurrency: int, fleet: Sizes) -> dict[str, str]:
    """Give the settings of a controller that keeps workers on this machine, for as long as it runs itself."""
    options = f"-c {concurrency} -l INFO --without-mingle --without-gossip"
    return {
        "JOBPLATFORM_FLEET": "local",
        "JOBPLATFORM_FLEET_MIN": str(fleet.least),
        "JOBPLATFORM_FLEET_MAX": str(fleet.most),
        "JOBPLATFORM_FLEET_APP": app,
        "JOBPLATFORM_FLEET_OPTIONS": environ.get("JOBPLATFORM_FLEET_OPTIONS") or options,
        "JOBPLATFORM_FLEET_AT_EXIT": "drain",
    }


def banner(stack: DevStack, specs: list[ProcessSpec], bind: str, more: Mapping[str, str]) -> str:
    """Write what the user needs to know, in aligned lines, without the passwords of the servers.

    :param bind: where the dashboard listens.
    :param more: further lines.
    """
    rows = {
        "dashboard": f"http://{bind}",
        **more,
        "PostgreSQL": _without_password(stack.database_url),
        "Redis": _without_password(stack.redis_url),
        "data": str(stack.directory),
        "processes": ", ".join(spec.name for spec in specs),
        "stop": "Ctrl-C",
    }
    width = max(map(len, rows))
    return "\n".join(["jobplatform is up", *(f"  {name:<{width}}  {value}" for name, value in rows.items())])


def up(
    settings: Settings,
    directory: Path,
    environ: Mapping[str, str],
    prepare: Callable[[str], Mapping[str, str]],
    *,
    app: str = "jobplatform",
    concurrency: int = 2,
    fleet: Sizes | None = None,
    out: TextIO | None = None,
) -> None:
    """Start the stack, bring the tables up to date, and run every process until SIGINT or SIGTERM.

    :param directory: where the stack keeps its data.
    :param environ: what the processes inherit, usually ``os.environ``.
    :param prepare: called with the database URL before any process starts; gives further lines to be shown.
    :param fleet: lets the controller keep so many workers, instead of one that is kept here.
    :param out: where banner and logs go; None is the standard output.
    """
    with stop_on_signals() as stop, DevStack(directory, settings) as stack, web_place(settings) as bind:
        more = prepare(stack.database_url)
        env = {**environ, **stack.environment(), "JOBPLATFORM_WEB_BIND": bind}
        specs = process_specs(env, app, concurrency, fleet)
        print(banner(stack, specs, bind, more), file=out or sys.stdout, flush=True)
        # A controller waits for its workers, and they for what they run.
        grace = settings.drain_seconds + _LEAVING_SECONDS * (3 if fleet else 1)
        run(specs, stop, out=out, grace=grace)


@contextmanager
def web_place(settings: Settings) -> Iterator[str]:
    """Choose where the dashboard listens for the time of a block: as it is set, or elsewhere if that is taken."""
    host, port = settings.web_address
    wanted = claim(port)
    if wanted is not None and is_free(port):
        held = {port: wanted}
    else:
        release([wanted] if wanted else [])
        held = claim_free(1)
    try:
        yield f"{host}:{next(iter(held))}"
    finally:
        release(held.values())


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)
