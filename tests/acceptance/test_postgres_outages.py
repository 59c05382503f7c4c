"""PostgreSQL runs and refuses, or dies amid many commits, under a steady load: nothing is lost, nobody hangs."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
from fleet import Fleet
from outcome_jobs import LEDGER
from postgres_faults import all_slots_taken, kill_all, locked, operator, read_only, standing_still
from processes import eventually
from test_outages import CALLS, Load, check_rows, duplicates, settled

from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings

#: Calls during the outage, and jobs that run in it.
DURING = 4
OUTAGE_SECONDS = 8.0
#: The longest call of a client: one whose statement is never answered, and that then asks for a new connection.
CALL_SECONDS = 25.0
#: Room for a fresh PostgreSQL and then some; in kilobytes.
DISK = 300_000
NO_SPACE = "No space left on device"
KILLS = 3
CLIENTS = 3

Fault = Callable[[Fleet], AbstractContextManager[None]]
FAULTS: dict[str, Fault] = {
    "read-only": lambda fleet: read_only(fleet.stack.database_url),
    "locked": lambda fleet: locked(fleet.stack.database_url, f"{fleet.settings.schema}.jobs"),
    "no slot": lambda fleet: all_slots_taken(fleet.stack.database_url),
    "frozen": lambda fleet: standing_still(fleet.stack.postgres),
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file to which each attempt appends its counter."""
    made = tmp_path_factory.mktemp("ledger") / "ledger"
    made.touch()
    return made


@contextmanager
def started(stack: DevStack, ledger: Path) -> Iterator[Fleet]:
    """Run a controller and a worker."""
    with Fleet(stack, ledger.parent, ["outage_jobs"], **{LEDGER: str(ledger)}) as made:
        made.start_controller()
        made.start_worker("-c", "2")
        yield made


@pytest.fixture(scope="module")
def fleet(stack: DevStack, ledger: Path) -> Iterator[Fleet]:
    """A controller and a worker, which see the outages of this module that happen to the stack of the run."""
    with started(stack, ledger) as made:
        yield made


@contextmanager
def loaded(fleet: Fleet, first: int, pause: str = "0.05") -> Iterator[Load]:
    """Run a steady client."""
    load = Load(fleet, first, pause)
    try:
        yield load
    finally:
        load.process.stop()


def outlive(load: Load, ledger: Path, outage: AbstractContextManager[None]) -> None:
    """Have an outage under load, and check that all processes live through it, and that what ran was recorded once."""
    processes = [process for process in load.fleet.processes if process.running]
    load.wait_for_successes(CALLS, 30)
    with outage:
        run = ledger.stat().st_size
        load.wait_for_successes(DURING, 60)
        eventually(lambda: ledger.stat().st_size > run + 6 * DURING, 60, load.process.tail)
    load.wait_for_successes(CALLS, 60)
    assert all(process.running for process in processes)
    calls = load.finish()
    assert [call for call in calls if call["error"]] == []
    assert max(call["seconds"] for call in calls) < CALL_SECONDS
    rows = settled(load.fleet, calls)
    check_rows(calls, rows)
    assert duplicates(calls, rows, ledger) == []
    assert load.fleet.rows("select * from @journal_quarantine") == []


@contextmanager
def lasting(outage: AbstractContextManager[None]) -> Iterator[None]:
    """Let an outage last for some seconds in which nothing is awaited."""
    with outage:
        yield
        threading.Event().wait(OUTAGE_SECONDS)


@pytest.mark.parametrize("name", FAULTS)
def test_postgresql_refuses(name: str, fleet: Fleet, ledger: Path) -> None:
    """It takes no writes, or a lock is held for long, or all its connections are taken, or it stands still."""
    with loaded(fleet, 1_000_000 * (1 + list(FAULTS).index(name))) as load:
        outlive(load, ledger, lasting(FAULTS[name](fleet)))


class Disk:
    """A small disk of its own, mounted at a directory.

    :param path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filler = path / "filler"

    def fill(self) -> None:
        """Leave no room on it."""
        with self.filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        """Make room again."""
        self.filler.unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    """A disk that PostgreSQL can reach; the test is skipped where none can be mounted."""
    path = Path(tempfile.mkdtemp(prefix="jobplatform-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}k,mode=0711", "tmpfs", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        path.rmdir()
        pytest.skip(f"a disk of a test's own needs the right to mount: {done.stderr.strip()}")
    yield Disk(path)
    subprocess.run(["umount", str(path)], check=True)
    path.rmdir()


@pytest.fixture
def on_disk(disk: Disk, stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    """A controller and a worker whose PostgreSQL lies on the small disk, and whose Redis has another."""
    ledger = tmp_path / "ledger"
    ledger.touch()
    with ExitStack() as opened:
        redis = opened.enter_context(DevStack(tmp_path / "redis", Settings(database_url=stack.database_url)))
        small = opened.enter_context(DevStack(disk.path / "stack", Settings(redis_url=redis.redis_url)))
        yield opened.enter_context(started(small, ledger))


def test_the_disk_of_postgresql_is_full(on_disk: Fleet, disk: Disk, tmp_path: Path) -> None:
    """No table can grow, until there is room again."""
    pid = on_disk.stack.postgres.pid

    @contextmanager
    def full() -> Iterator[None]:
        disk.fill()
        try:
            eventually(lambda: any(NO_SPACE in process.log.read_text() for process in on_disk.processes), 60)
            yield
        finally:
            disk.free()

    with loaded(on_disk, 7_000_000) as load:
        outlive(load, tmp_path / "ledger", lasting(full()))
    assert on_disk.stack.postgres.pid == pid


def test_postgresql_ends_as_its_log_finds_no_room(on_disk: Fleet, disk: Disk, tmp_path: Path) -> None:
    """It cannot even recover, until there is room again and it is started."""
    postgres = on_disk.stack.postgres

    @contextmanager
    def ended() -> Iterator[None]:
        disk.fill()
        try:
            with suppress(psycopg2.OperationalError), operator(postgres.url) as cursor:
                while True:
                    cursor.execute(
                        "select pg_switch_wal(), pg_logical_emit_message(true, '', 'a switch needs some log')"
                    )
            eventually(lambda: not postgres.running, 60)
            yield
        finally:
            disk.free()
            postgres.start()

    with loaded(on_disk, 8_000_000) as load:
        outlive(load, tmp_path / "ledger", ended())


def test_postgresql_is_killed_amid_many_commits(fleet: Fleet, ledger: Path) -> None:
    """Every process of it gets SIGKILL, again and again: what was accepted has its row."""
    postgres = fleet.stack.postgres
    fleet.start_worker("-c", "8", name="w2")
    processes = [process for process in fleet.processes if process.running]
    with ExitStack() as opened:
        firsts = (10_000_000 + 1_000_000 * number for number in range(CLIENTS))
        loads = [opened.enter_context(loaded(fleet, first, "0.02")) for first in firsts]
        for _ in range(KILLS):
            wait_for_each(loads, CALLS)
            kill_all(postgres)
            try:
                wait_for_each(loads, DURING)
            finally:
                postgres.start()
        wait_for_each(loads, CALLS)
        assert all(process.running for process in processes)
        made = [load.finish() for load in loads]
    for calls in made:
        assert [call for call in calls if call["error"]] == []
        rows = settled(fleet, calls)
        check_rows(calls, rows)
        assert duplicates(calls, rows, ledger) == []


def wait_for_each(loads: list[Load], more: int) -> None:
    """Return when so many more calls of each client have succeeded."""
    for load in loads:
        load.wait_for_successes(more, 60)
