"""Dead letters and replays by actions: within a scope, by permission, and with what payloads hold kept back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from celery import Celery
from command_line import CliEnvironment

from jobplatform.actions import clusters, jobs, letters, replays, schedule_edits, schedules
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.payloads import WITHHELD
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.actions.replays import Pace
from jobplatform.errors import Forbidden, JobNotFound, JobOptionError, ReplayNotFound, TransitionRefused
from jobplatform.jobs.editing import parse_setting
from jobplatform.maintenance.replayer import Replayer
from jobplatform.masking import MASK
from jobplatform.settings import Settings
from jobplatform.store import audit, dead_letters
from jobplatform.store import clusters as cluster_rows
from jobplatform.store import schedules as schedule_rows
from jobplatform.store.dead_letters import LetterFilter

ROOT = at_terminal("root")
ALL = LetterFilter(job_type="shop.charge")
SECRET = json.dumps({"args": [], "kwargs": {"card": "4111 1111"}})


@pytest.fixture
def desk(settings: Settings, cli_environment: CliEnvironment) -> Desk:
    return Desk(settings, cli_environment.database, lambda: None, lambda: Celery("letters", set_as_current=False))


def actor(role: str, scope: Scope | None = None, *more: Permission) -> Actor:
    return Actor(role, Via.PAGE, ROLES[role] | set(more), scope or Scope(), "192.0.2.1")


def deeds(desk: Desk, action: str) -> list[tuple[str, dict[str, Any]]]:
    with desk.look() as session:
        return [(row["actor"], row["outcome"]) for row in reversed(audit.listed(session, 100, action=action))]


@pytest.mark.parametrize("scope", [Scope(frozenset({"mail"})), Scope(tenants=frozenset({"a"}))])
def test_a_letter_out_of_scope_is_not_there(desk: Desk, cli_environment: CliEnvironment, scope: Scope) -> None:
    """Letters 1 to 3 are one within, one without, and one of nobody's."""
    within = cli_environment.fail(queue="mail", tenant="a")
    cli_environment.fail(queue="celery", tenant="b")
    cli_environment.fail(queue="celery")
    who = actor("admin", scope)
    assert [row["dlq_id"] for row in letters.list_letters(desk, who, LetterFilter(), 10).rows] == [1]
    assert letters.show_letter(desk, who, 1)["job_id"] == within
    asked: list[Callable[[], Any]] = [
        lambda: letters.show_letter(desk, who, 2),
        lambda: letters.edit(desk, who, 2, {"kwargs": {}}, []),
        lambda: letters.show_letter(desk, who, 3),
    ]
    for ask in asked:
        with pytest.raises(JobNotFound, match="there is none of this id"):
            ask()
    assert [json.loads(line)["dlq_id"] for line in letters.export(desk, who, LetterFilter())] == [1]
    with pytest.raises(Forbidden, match="of all queues and tenants"):
        letters.import_(desk, who, BytesIO(b""))
    assert letters.count_letters(desk, who, ALL, 10) == 1
    plan = replays.plan(desk, who, ALL, Pace())
    assert (plan.jobs, [row["queue"] for row in plan.by]) == (1, ["mail"])
    done = replays.replay_now(desk, who, LetterFilter((2, 3)))
    assert (done.letters, done.left.missing) == ([], (2, 3))
    resolved, left = letters.resolve(desk, who, LetterFilter((1, 2)), "a test")
    assert (resolved, left.missing) == ([1], (2,))
    assert letters.resolve(desk, who, ALL, None).resolved == []
    assert (
        letters.show_letter(desk, ROOT, 2)["resolved_at"] is letters.show_letter(desk, ROOT, 3)["resolved_at"] is None
    )


def test_a_replay_is_seen_by_who_may_see_all_that_it_could_choose(desk: Desk, cli_environment: CliEnvironment) -> None:
    for queue in ("mail", "mail", "celery", "celery"):
        cli_environment.fail(queue=queue)
    mine, others = actor("operator", Scope(frozenset({"mail", "x"}))), actor("operator", Scope(frozenset({"celery"})))
    made, whole = replays.start(desk, mine, ALL, Pace(canaries=1)), replays.start(desk, ROOT, ALL, Pace())
    assert made is not None and whole is not None
    assert (made["jobs"], whole["jobs"]) == (2, 4)
    seen = [
        [row["replay_id"] for row in replays.list_replays(desk, who, False, 10).rows] for who in (ROOT, mine, others)
    ]
    assert seen == [[2, 1], [1], []]
    page = replays.list_replays(desk, ROOT, True, 1)
    assert (page.next, [row["replay_id"] for row in replays.list_replays(desk, ROOT, True, 1, page.next).rows]) == (
        2,
        [1],
    )
    for verb in (replays.show_replay, replays.pause, replays.resume, replays.cancel):
        with pytest.raises(ReplayNotFound):
            verb(desk, others, 1)
        with pytest.raises(ReplayNotFound):
            verb(desk, mine, 2)
    assert replays.show_replay(desk, mine, 1).replay["chosen"]["in_queues"] == ["mail", "x"]


def test_a_paused_replay_sends_nothing_until_it_is_resumed(desk: Desk, cli_environment: CliEnvironment) -> None:
    for _ in range(3):
        cli_environment.fail()
    replayer, ann = Replayer(desk.database), actor("operator")
    replays.start(desk, ann, ALL, Pace(canaries=0))
    paused = replays.pause(desk, ann, 1, "lunch")
    assert (paused["state"], paused["reason"], paused["waiting"]) == ("paused", "paused by operator: lunch", 3)
    with pytest.raises(TransitionRefused, match="it is paused"):
        replays.pause(desk, ann, 1)
    replayer.run_once(datetime.now(UTC))
    assert [row["state"] for row in replays.list_replays(desk, ann, True, 10).rows] == ["paused"]
    assert replays.show_replay(desk, ann, 1).replay["waiting"] == 3
    assert cli_environment.json("dlq", "replays", "resume", "1")["state"] == "running"
    with pytest.raises(TransitionRefused, match="is not paused: it is running"):
        replays.resume(desk, ann, 1)
    replayer.run_once(datetime.now(UTC))
    assert replays.show_replay(desk, ann, 1).replay["sent"] == 3
    assert cli_environment.run("dlq", "replays", "pause", "1", "--by", "bea").stdout == "replay 1 is paused\n"
    assert replays.cancel(desk, ann, 1)["state"] == "cancelled"
    with desk.look() as session:
        (row,) = audit.listed(session, 1, action="replays.pause")
    assert (row["actor"], row["via"]) == ("bea", "terminal")
    assert row["address"] not in (None, "bea")


def test_bodies_are_withheld_from_who_may_not_see_them(desk: Desk, cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.fail(payload=SECRET)
    schedule_edits.add(desk, ROOT, "nightly", "shop.report", "@daily", {"payload_template": json.loads(SECRET)})
    editor = actor("operator", None, Permission.LETTERS_EDIT)
    edited = letters.edit(desk, editor, 1, None, [parse_setting("kwargs.card=4222")])
    assert (edited.payload, edited.edited_payload) == (WITHHELD, WITHHELD)

    def bodies(who: Actor) -> list[Any]:
        letter = letters.show_letter(desk, who, 1)
        listed = schedules.list_schedules(desk, who, 10).rows[0]
        shown = schedules.show_schedule(desk, who, "nightly").schedule
        job = jobs.show_job(desk, who, job_id).job
        assert job["result"] is None
        templates = [each["payload_template"] for each in (listed, shown)]
        return [letter["payload"], letter["edited_payload"], *templates, job["payload"]]

    assert bodies(actor("operator")) == [WITHHELD] * 5
    assert bodies(actor("viewer", None, Permission.JOBS_PAYLOAD)) == [{"args": [], "kwargs": {"card": MASK}}] * 5
    letters.edit(desk, editor, 1, {"args": [], "kwargs": {"card": MASK, "note": "as it was"}}, [])
    schedule_edits.change_schedule(
        desk, ROOT, "nightly", None, {"payload_template": {"args": [], "kwargs": {"card": MASK}}}
    )
    with desk.look() as session:
        assert dead_letters.show(session, 1)["edited_payload"]["kwargs"] == {"card": 4222, "note": "as it was"}
        (row,) = schedule_rows.listed(session, ["nightly"], 1)
    assert row["payload_template"] == json.loads(SECRET)
    with pytest.raises(Forbidden, match=r"jobs\.payload"):
        letters.export(desk, actor("operator"), LetterFilter())
    assert len(list(letters.export(desk, ROOT, LetterFilter()))) == 1
    assert deeds(desk, "letters.export") == [("operator", {"refused": "jobs.payload"}), ("root", {})]
    with desk.look() as session:
        written = str(audit.listed(session, 100))
    assert "card" in written and "4111" not in written and "4222" not in written


def test_what_was_done_to_letters_is_written_down_and_what_was_refused(
    desk: Desk, cli_environment: CliEnvironment
) -> None:
    for _ in range(5):
        cli_environment.fail()
    viewer, operator = actor("viewer"), actor("operator")
    refused: list[Callable[[], Any]] = [
        lambda: letters.resolve(desk, viewer, ALL, None),
        lambda: letters.edit(desk, operator, 1, None, []),
        lambda: replays.start(desk, viewer, ALL, Pace()),
        lambda: letters.import_(desk, operator, BytesIO(b"")),
    ]
    for ask in refused:
        with pytest.raises(Forbidden):
            ask()
    for empty in (letters.resolve, replays.start, replays.plan):
        with pytest.raises(JobOptionError, match="nothing says which"):
            empty(desk, ROOT, LetterFilter(in_queues=frozenset({"mail"})), Pace())  # type: ignore[operator]
    replays.replay_now(desk, operator, LetterFilter((1, 2)))
    again = replays.replay_now(desk, operator, LetterFilter((2, 3), job_type="other"))
    assert (again.left.resolved, again.left.unmatched) == ({2: "replayed"}, (3,))
    assert len(letters.resolve(desk, operator, ALL, "tests").resolved) == 3
    assert letters.show_letter(desk, viewer, 3)["resolved_by"] == "operator"
    assert deeds(desk, "letters.resolve") == [
        ("viewer", {"refused": "letters.resolve"}), ("operator", {"asked": True}), ("operator", {"resolved": 3}),
    ]  # fmt: skip
    assert deeds(desk, "letters.replay") == [
        ("operator", {"replayed": 2, "refused": 0}), ("operator", {"replayed": 0, "refused": 0}),
    ]  # fmt: skip
    assert deeds(desk, "replays.start") == [("viewer", {"refused": "letters.replay"})]
    with desk.look() as session:
        assert audit.broken(session) is None


def test_the_sample_of_a_cluster_is_for_who_may_see_its_job(desk: Desk, cli_environment: CliEnvironment) -> None:
    name, job_id = "0" * 16, cli_environment.fail(queue="mail")
    cli_environment.fail(queue="celery")
    seen = {"errors": 1, "first_seen": 1.0, "last_seen": 2.0, "job_types": {"t": 1}, "releases": []}
    row = {"fingerprint": name, "error_type": "E", "text": "E", "sample": "no: 4111", "traceback": "T", **seen}
    with desk.database.transaction() as transaction:
        cluster_rows.count(transaction, [{**row, "sample_job": job_id}])
        transaction.connection.exec_driver_sql(
            f"update \"{desk.settings.schema}\".dead_letter_jobs set fingerprint = '{name}'"
        )
    whole = actor("viewer")
    for queue, sample, letter in (("mail", "no: 4111", 1), ("celery", None, 2)):
        who = replace(whole, scope=Scope(frozenset({queue})))
        assert clusters.list_clusters(desk, who, "open", None, 10).rows[0]["sample"] == sample
        shown = clusters.show_cluster(desk, who, "00")
        assert (shown.cluster["sample"], shown.cluster["traceback"] is None) == (sample, sample is None)
        assert [each["dlq_id"] for each in shown.letters] == [letter]
    assert len(clusters.show_cluster(desk, whole, "00").letters) == 2
