"""What cannot be read is kept, shown, and can be given another chance once the cause is away."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from command_line import CliEnvironment
from journals import journal_of

from jobplatform.cli.exits import Exit
from jobplatform.devstack.stack import DevStack
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.mirror import JOURNAL, Mirror
from jobplatform.journal.writer import connect
from jobplatform.maintenance.early_news import EarlyNews
from jobplatform.records import NewJob, row_of
from jobplatform.store.database import Database
from jobplatform.transport import keys

RAW = b'{"headers": \xff\x00\x1b[2J'


@pytest.fixture
def mirror(stack: DevStack, database: Database) -> Iterator[Mirror]:
    client = connect(stack.redis_url)
    client.flushdb()
    yield Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    client.close()


def journalled(mirror: Mirror, *lines: bytes | str, field: str = "e1") -> Any:
    """Mirror some journal entries and return what was counted."""
    for line in lines:
        mirror.client.xadd(JOURNAL, {field: line})
    return mirror.run_once(datetime.now(UTC))


def listed(cli: CliEnvironment, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cli.json("quarantine", "list", *options)["quarantine"]
    return found


def test_a_message_is_kept_as_it_was_and_goes_back_to_its_queue(
    mirror: Mirror, cli_environment: CliEnvironment
) -> None:
    assert journalled(mirror, entry.unreadable("mail", RAW, "no JSON"))["quarantined"] == 1
    (row,) = listed(cli_environment, "--queue", "mail")
    assert (row["kind"], row["size"], row["complete"], row["reason"]) == ("message", len(RAW), True, "no JSON")
    number = str(row["quarantine_id"])
    assert base64.b64decode(cli_environment.json("quarantine", "show", number)["raw"]) == RAW
    shown = cli_environment.run("quarantine", "show", number).stdout
    assert r'{"headers": \xff' in shown
    assert "\x1b" not in shown
    assert cli_environment.json("quarantine", "replay", number, "--dry-run")[0]["outcome"] == "would replay"
    assert mirror.client.llen("mail") == 0
    assert cli_environment.json("quarantine", "replay", "--kind", "message")[0]["outcome"] == "replayed"
    assert mirror.client.lrange("mail", 0, -1) == [RAW]
    assert mirror.client.llen(keys.bell("mail")) == 1
    assert listed(cli_environment) == []
    assert [row["resolution"] for row in listed(cli_environment, "--all")] == ["replayed"]
    assert "resolved already: replayed" in cli_environment.run("quarantine", "replay", number).stderr
    assert mirror.client.llen("mail") == 1


def test_what_was_not_kept_whole_is_never_replayed(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    large = b"x" * (entry.RAW_LIMIT + 1)
    journalled(mirror, entry.unreadable("mail", large, "no JSON"), entry.unreadable("mail", b"", "empty"))
    numbers = [str(row["quarantine_id"]) for row in listed(cli_environment)]
    result = cli_environment.run("quarantine", "replay", *numbers)
    assert result.exit_code == Exit.CONFLICT
    assert f"only {entry.RAW_LIMIT} of its {len(large)} bytes were kept" in result.stdout
    assert "it is empty" in result.stdout
    assert mirror.client.llen("mail") == 0
    assert len(listed(cli_environment)) == 2
    cli_environment.json("quarantine", "discard", *numbers)
    assert listed(cli_environment) == []


def test_what_is_asked_for_wrongly_is_refused(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    assert cli_environment.run("quarantine", "replay").exit_code == Exit.USAGE
    for command in ("show", "replay", "discard"):
        assert cli_environment.run("quarantine", command, "999").exit_code == Exit.NOT_FOUND
    assert cli_environment.json("quarantine", "replay", "--kind", "entry") == []


def test_pages_of_the_quarantine_have_no_gap(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    journalled(mirror, *(entry.unreadable("mail", b"%d" % number, "no JSON") for number in range(5)))
    first = cli_environment.json("quarantine", "list", "--limit", "3")
    rest = cli_environment.json("quarantine", "list", "--limit", "3", "--page", first["next"])
    numbers = [row["quarantine_id"] for row in first["quarantine"] + rest["quarantine"]]
    assert numbers == sorted(set(numbers), reverse=True)
    assert (len(numbers), rest["next"]) == (5, None)


def test_entries_of_a_newer_version_wait_for_the_upgrade_beside_those_of_ours(
    mirror: Mirror, cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, newer = cli_environment.add(), cli_environment.add()
    later = [line.replace(b'"v":1', b'"v":2') for line in journal_of(newer, ["completed"])]
    counts = journalled(mirror, *later, *journal_of(ours, ["completed"]))
    assert (cli_environment.status(ours), cli_environment.status(newer)) == ("COMPLETED", "PENDING")
    assert counts["quarantined"] == len(later) == len(listed(cli_environment, "--kind", "entry"))
    assert all("version 2 is unknown" in row["reason"] for row in listed(cli_environment))

    monkeypatch.setattr(entry, "VERSION", 2)
    replayed = cli_environment.json("quarantine", "replay", "--kind", "entry")
    assert [line["outcome"] for line in replayed] == ["replayed"] * len(later)
    assert [raw for _, fields in mirror.client.xrange(JOURNAL) for raw in fields.values()] == later
    mirror.run_once(datetime.now(UTC))
    assert cli_environment.status(newer) == "COMPLETED"


def test_a_refused_outcome_stays_refused_when_it_is_replayed(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.add()
    late = json.dumps({"v": 1, "k": "sung", "j": job_id, "a": 1, "t": 1.0})
    journalled(mirror, late, field="x7")
    cli_environment.json("quarantine", "replay", "--kind", "entry")
    ((_, fields),) = mirror.client.xrange(JOURNAL)
    assert fields == {b"x7": late.encode()}


def test_a_message_fails_the_attempt_that_it_names_once(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.add()
    text = entry.unreadable("celery", RAW, "args: it is a dict", 5.0, (job_id, 1))
    for _ in range(2):
        journalled(mirror, text)
    assert cli_environment.status(job_id) == "FAILED"
    assert {row["job_id"] for row in listed(cli_environment)} == {job_id}
    (letter,) = cli_environment.json("dlq", "list")["dead_letters"]
    assert (letter["error_type"], letter["error_message"]) == ("InvalidMessage", "args: it is a dict")


def test_news_of_a_job_without_a_row_is_kept(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    nobody, now = str(uuid.uuid4()), datetime.now(UTC)
    waiting = EarlyNews(mirror.database, mirror.client)
    assert journalled(mirror, *journal_of(nobody, ["completed"]))["early"] == 2
    assert not waiting.run_once(now)
    assert listed(cli_environment) == []
    assert EarlyNews(mirror.database, mirror.client, wait_seconds=-1).run_once(now) == {"quarantined": 2}
    assert {row["reason"] for row in listed(cli_environment)} == {f"no row stands for job {nobody}"}
    known = cli_environment.add()
    lines = journal_of(known, ["completed"])
    assert sum(journalled(mirror, *lines)["early"] for _ in range(2)) == 0


def test_news_that_came_before_its_row_is_applied_after_it(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    job = NewJob(str(uuid.uuid4()), "t.job", '{"args":[],"kwargs":{}}', "celery", enqueued_at=time.time())
    waiting, now = EarlyNews(mirror.database, mirror.client), datetime.now(UTC)
    assert journalled(mirror, *journal_of(job.job_id, ["completed"]))["early"] == 2
    journalled(mirror, entry.submitted(job.job_id, time.time(), row_of(job)).encode())
    assert waiting.run_once(now) == {"journalled": 2}
    assert mirror.run_once(now)["transitions"] == 1
    assert cli_environment.status(job.job_id) == "COMPLETED"
    assert not waiting.run_once(now)
