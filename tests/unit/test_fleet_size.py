"""How a fleet gets from the workers that it has to those that were wished for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from jobplatform.transport.duty import Duty
from jobplatform.workers.fleet import BY, Member, Stage
from jobplatform.workers.size import Steps, steps


def worker(number: int, stage: Stage = Stage.WORKING, busy: int = 0, **more: object) -> Member:
    return replace(
        Member(f"w{number}@here", stage, worker_id=f"node{number}", busy=busy, started_at=float(number)),
        **more,  # type: ignore[arg-type]
    )


def cordoned(number: int, busy: int = 0, by: str = BY, stage: Stage = Stage.CORDONED) -> Member:
    return worker(number, stage, busy, asked=Duty.CORDON, asked_by=by)


def names(members: tuple[Member, ...]) -> list[str]:
    return [member.name for member in members]


def test_what_is_missing_is_started() -> None:
    assert steps([], 2) == Steps(spawn=2)
    assert steps([worker(1), worker(2, Stage.STARTING)], 3) == Steps(spawn=1)


def test_a_silent_worker_and_one_that_leaves_do_not_count() -> None:
    assert steps([worker(1, Stage.SILENT), worker(2, Stage.LEAVING)], 1).spawn == 1


def test_an_idle_worker_is_the_first_to_take_no_more() -> None:
    found = steps([worker(1, busy=2), worker(2), worker(3, busy=1)], 2)
    assert names(found.cordon) == ["w2@here"]
    assert not found.retire


def test_of_idle_workers_the_youngest_goes() -> None:
    assert names(steps([worker(1), worker(2)], 1).cordon) == ["w2@here"]


def test_a_cordoned_worker_leaves_once_it_has_heard_so_and_holds_nothing() -> None:
    assert names(steps([worker(1), cordoned(2)], 1).retire) == ["w2@here"]
    assert not steps([worker(1), cordoned(2, busy=1)], 1).retire
    assert not steps([worker(1), cordoned(2, stage=Stage.WORKING)], 1).retire


def test_a_worker_that_a_person_has_cordoned_stays_and_does_not_count() -> None:
    found = steps([worker(1), cordoned(2, by="ann@desk")], 2)
    assert found == Steps(spawn=1)


def test_cordoned_workers_work_again_before_others_are_started() -> None:
    found = steps([worker(1), cordoned(2), cordoned(3, busy=1)], 4)
    assert set(names(found.uncordon)) == {"w2@here", "w3@here"}
    assert found.spawn == 1
    found = steps([worker(1), cordoned(2), cordoned(3, busy=1)], 2)
    assert (names(found.uncordon), names(found.retire), found.spawn) == (["w3@here"], ["w2@here"], 0)


def test_one_that_has_not_heard_yet_that_it_works_again_counts() -> None:
    assert steps([worker(1), worker(2, Stage.CORDONED)], 2) == Steps()


def test_a_worker_that_is_being_replaced_is_none_of_our_business() -> None:
    members = [worker(1), cordoned(2), worker(3, Stage.STARTING)]
    assert steps(members, 2, replaced={"node2"}) == Steps()


MEMBERS = st.lists(
    st.builds(
        lambda number, stage, busy, asked, by: worker(number, stage, busy, asked=asked, asked_by=by),
        st.integers(1, 99), st.sampled_from(Stage), st.integers(0, 3), st.sampled_from(Duty),
        st.sampled_from([BY, "ann@desk"]),
    ),
    max_size=9,
    unique_by=lambda member: member.name,
)  # fmt: skip


@given(MEMBERS, st.integers(0, 6))
def test_no_step_touches_a_busy_worker_beyond_asking_it_to_take_no_more(members: list[Member], wanted: int) -> None:
    found = steps(members, wanted)
    assert all(member.busy == 0 and member.stage is Stage.CORDONED for member in found.retire)
    assert all(member.asked_by == BY for member in (*found.retire, *found.uncordon))
    counted = sum(member.counts for member in members)
    # Never are some started and others sent away, and never does it overshoot.
    assert not (found.spawn and found.cordon)
    assert counted + found.spawn + len(found.uncordon) <= max(wanted, counted)
    assert counted - len(found.cordon) >= min(wanted, counted)
