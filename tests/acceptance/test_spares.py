"""Workers that are begun ahead of need: nobody hears of one until it is asked for, and then it is there at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import rescue_jobs
from fleet import Fleet
from kept_fleet import KeptFleet
from processes import eventually
from test_rescue import starts
from test_worker_fleet import SETTINGS, wish

from jobplatform.devstack.stack import DevStack

SPARES = 2


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__], **SETTINGS) as made:
        made.start_controller()
        yield made


def spares_of(kept: KeptFleet) -> list[psutil.Process]:
    """List what was forked with its pool and nobody has heard of."""
    heard = {member.pid for member in kept.members()}
    found = []
    for seedbed in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            # The one of the test's own programs has no application.
            if "jobplatform" in seedbed.cmdline():
                found += [each for each in seedbed.children() if each.pid not in heard and len(each.children()) == 1]
    return found


def until_spares(kept: KeptFleet, count: int) -> list[psutil.Process]:
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = spares_of(kept)
        return len(found) == count

    eventually(look, 30, lambda: f"{found}")
    return found


def test_spares_become_the_next_workers_and_nobody_hears_of_them_before(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=1, fleet_max=1 + SPARES, fleet_spares=SPARES) as kept:
        kept.until_working(1)
        spares = until_spares(kept, SPARES)
        wait_for = fleet.client.tasks["rescue_jobs.wait_for"]
        for number in range(1 + SPARES):
            wait_for.submit(str(marks), f"long{number}")
        eventually(lambda: len(starts(marks)) == 1, 30, fleet.describe)
        rounds = kept.rounds
        eventually(lambda: kept.rounds > rounds + 2, 30)
        assert len(starts(marks)) == 1
        assert len(kept.members()) == 1
        assert fleet.rows("select count(*) as workers from @workers") == [{"workers": 1}]
        wish(fleet, 1 + SPARES)
        found = kept.until_working(1 + SPARES)
        assert {each.pid for each in spares} < {member.pid for member in found}
        eventually(lambda: len(starts(marks)) == 1 + SPARES, 30, fleet.describe)
        # There is no room for more of them.
        assert spares_of(kept) == []
        (marks / "release").touch()
        assert fleet.wait_final(1 + SPARES, 60) == {"COMPLETED": 1 + SPARES}
        # Who has become a worker leaves as any other does, and spares are there for the next time.
        wish(fleet, 1)
        kept.until_working(1)
        spares = until_spares(kept, SPARES)
    _, alive = psutil.wait_procs(spares, 10)
    assert not alive


def test_a_spare_whose_connections_were_closed_works_all_the_same(fleet: Fleet, marks: Path) -> None:
    with KeptFleet(fleet, fleet_min=1, fleet_max=2, fleet_spares=1) as kept:
        kept.until_working(1)
        (spare,) = until_spares(kept, 1)
        eventually(lambda: kept.local.waiting == 1, 30)
        for line in spare.net_connections():
            fleet.redis.client_kill(f"{line.laddr.ip}:{line.laddr.port}")
        wish(fleet, 2)
        assert spare.pid in {member.pid for member in kept.until_working(2)}
        for number in range(2):
            fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), f"long{number}")
        eventually(lambda: len(starts(marks)) == 2, 30, fleet.describe)
        (marks / "release").touch()
        assert fleet.wait_final(2, 60) == {"COMPLETED": 2}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_spare_that_ended_is_followed_by_another(fleet: Fleet, number: signal.Signals) -> None:
    with KeptFleet(fleet, fleet_min=1, fleet_max=2, fleet_spares=1) as kept:
        kept.until_working(1)
        (spare,) = until_spares(kept, 1)
        children = spare.children()
        spare.send_signal(number)
        _, alive = psutil.wait_procs([spare, *children], 10)
        assert not alive
        (other,) = until_spares(kept, 1)
        wish(fleet, 2)
        assert other.pid in {member.pid for member in kept.until_working(2)}
