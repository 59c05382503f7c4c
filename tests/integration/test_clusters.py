"""Errors of one kind: counted once, resolved, back again, merged, and worked on from the command line."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import CliEnvironment
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from journals import batches, disturbed

from jobplatform.cli.exits import Exit
from jobplatform.devstack.stack import DevStack
from jobplatform.errors import ClusterNotFound, JobOptionError
from jobplatform.fingerprint.identity import identify
from jobplatform.fingerprint.similarity import alike, embed
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.collapse import collapse
from jobplatform.journal.entry import Kind
from jobplatform.journal.failure import describe_interruption
from jobplatform.journal.mirror import Mirror
from jobplatform.journal.writer import connect
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.store import cluster_edits, cluster_texts, clusters, new_jobs
from jobplatform.store.database import Database

PAST = 1_700_000_000.0


@pytest.fixture
def mirror(stack: DevStack, database: Database) -> Iterator[Mirror]:
    client = connect(stack.redis_url)
    client.flushdb()
    yield Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    client.close()


def error_of(message: str, kind: str = "ValueError", **values: Any) -> dict[str, Any]:
    return {"type": kind, "message": message, "classes": [kind], "traceback": f"Traceback of {message}", **values}


def submitted(database: Database, job_type: str = "t.job", most: int = 0) -> str:
    job_id = new_job_id()
    with database.transaction() as transaction:
        new_jobs.insert(transaction, [row_of(NewJob(job_id, job_type, "{}", "celery", max_retries=most))])
    return job_id


def line_of(job_id: str, error: Mapping[str, Any], at: float = PAST, attempt: int = 1) -> bytes:
    head = entry.attempt_head(job_id, attempt, "w1", 100, at - 2, "")
    return entry.ended(Kind.FAILED, head, at - 1, at, error).encode()


def write(mirror: Mirror, *lines: bytes) -> None:
    with mirror.database.transaction() as transaction:
        mirror._write(transaction, collapse(entry.parse(line) for line in lines))


def fail(mirror: Mirror, message: str, at: float = PAST, job_type: str = "t.job", **values: Any) -> str:
    """Let a new job fail; gives the fingerprint of its error."""
    error = error_of(message, **values)
    write(mirror, line_of(submitted(mirror.database, job_type), error, at))
    return identify(error, job_type).digest


def cluster(database: Database, fingerprint: str) -> Mapping[str, Any]:
    with database.session() as session:
        return clusters.show(session, fingerprint, clusters.family(session, fingerprint))


def all_rows(database: Database) -> list[Mapping[str, Any]]:
    with database.session() as session:
        return sorted(clusters.page(session, None, None), key=lambda row: str(row["fingerprint"]))


@pytest.mark.owner
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), min_size=1, max_size=8), st.integers(0, 2**32))
def test_each_failed_attempt_counts_once_however_the_journal_is_replayed(
    mirror: Mirror, plan: list[tuple[int, int]], seed: int
) -> None:
    luck = random.Random(seed)
    with mirror.database.transaction() as transaction:
        transaction.connection.exec_driver_sql(f'truncate "{mirror.database.schema}".error_clusters cascade')
    lines: list[bytes] = []
    expected: dict[str, int] = {}
    for number, (kind, attempts) in enumerate(plan):
        job_id = submitted(mirror.database, f"t.type{number % 2}", most=9)
        message = f"{('red', 'green', 'blue')[kind]} failed for {number}"
        errors = {attempt: error_of(message, release=f"r{attempt}") for attempt in range(1, attempts + 1)}
        lines.extend(line_of(job_id, error, PAST + attempt, attempt) for attempt, error in errors.items())
        name = identify(error_of(message)).digest
        expected[name] = expected.get(name, 0) + attempts
    for batch in batches(disturbed(lines, luck), luck):
        with mirror.database.transaction() as transaction:
            mirror._write(transaction, collapse(batch))
    once = all_rows(mirror.database)
    assert {row["fingerprint"]: row["errors"] for row in once} == expected
    assert all(sum(row["job_types"].values()) == row["errors"] for row in once)
    write(mirror, *lines)
    assert all_rows(mirror.database) == once


def test_a_cluster_tells_when_where_and_in_which_releases_it_was_seen(mirror: Mirror) -> None:
    name = fail(mirror, "order 1 is bad", PAST + 5, "shop.pay", release="v2", host="api.local")
    assert fail(mirror, "order 22 is bad", PAST, "shop.ship", release="v1", host="api.local") == name
    fail(mirror, "order 333 is bad", PAST + 9, "shop.pay", host="api.local")
    row = cluster(mirror.database, name)
    assert (row["errors"], row["job_types"], row["releases"]) == (3, {"shop.pay": 2, "shop.ship": 1}, ["v1", "v2"])
    assert [row[key].timestamp() - PAST for key in ("first_seen", "last_seen")] == [0, 9]
    assert (row["error_type"], row["sample"], row["dependency"]) == ("ValueError", "order 1 is bad", "host:api.local")
    assert row["traceback"] == "Traceback of order 1 is bad"
    assert row["open_dead_letters"] == 3


def test_jobs_and_dead_letters_bear_the_fingerprint(mirror: Mirror) -> None:
    name = fail(mirror, "no 5")
    with mirror.database.session() as session:
        schema = mirror.database.schema
        read = (
            f'select (select fingerprint from "{schema}".jobs), (select fingerprint from "{schema}".dead_letter_jobs)'
        )
        assert tuple(session.connection.exec_driver_sql(read).one()) == (name, name)


def test_an_interruption_is_no_error(mirror: Mirror) -> None:
    write(mirror, line_of(submitted(mirror.database), describe_interruption("w1", 25.0)))
    assert all_rows(mirror.database) == []


def test_a_resolved_cluster_opens_again_when_its_error_comes_later_than_that(mirror: Mirror) -> None:
    name = fail(mirror, "no 1")
    with mirror.database.transaction() as transaction:
        assert cluster_edits.resolve(transaction, name)
        assert not cluster_edits.resolve(transaction, name)
    fail(mirror, "no 2", PAST + 60)
    row = cluster(mirror.database, name)
    assert (row["state"], row["reopened"], row["errors"], row["sample"]) == ("resolved", 0, 2, "no 1")
    fail(mirror, "no 3", (datetime.now(UTC) + timedelta(seconds=60)).timestamp())
    row = cluster(mirror.database, name)
    assert (row["state"], row["reopened"], row["resolved_at"], row["sample"]) == ("open", 1, None, "no 3")
    fail(mirror, "no 4", (datetime.now(UTC) + timedelta(seconds=61)).timestamp())
    assert cluster(mirror.database, name)["reopened"] == 1


def test_errors_of_a_merged_cluster_count_for_both(mirror: Mirror) -> None:
    first, second, third = (fail(mirror, words) for words in ("red 1", "green 1", "blue 1"))
    with mirror.database.transaction() as transaction:
        cluster_edits.merge(transaction, first, second)
        cluster_edits.merge(transaction, second, third)
        assert clusters.family(transaction, third) == [third, *sorted((first, second))]
        with pytest.raises(JobOptionError, match="already"):
            cluster_edits.merge(transaction, first, third)
        with pytest.raises(JobOptionError, match="same cluster"):
            cluster_edits.merge(transaction, third, third)
        with pytest.raises(ClusterNotFound):
            cluster_edits.merge(transaction, third, "none")
        cluster_edits.resolve(transaction, third)
    later = (datetime.now(UTC) + timedelta(seconds=60)).timestamp()
    lines = [line_of(submitted(mirror.database), error_of(words), later) for words in ("red 2", "green 2", "blue 2")]
    write(mirror, *lines)
    write(mirror, *lines)
    counts = [cluster(mirror.database, name)["errors"] for name in (first, second, third)]
    assert counts == [2, 3, 6]
    row = cluster(mirror.database, third)
    assert (row["state"], row["reopened"], row["job_types"], row["open_dead_letters"]) == ("open", 1, {"t.job": 6}, 6)


def test_the_list_shows_what_is_open_newest_first_in_pages(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    names = [
        fail(mirror, words, PAST + number, f"t.{words}")
        for number, words in enumerate(("red", "green", "blue", "grey", "pink"))
    ]
    cli_environment.json("clusters", "mute", names[0])
    cli_environment.json("clusters", "resolve", names[1], "--note", "fixed in v3")
    cli_environment.json("clusters", "merge", names[2], names[3])

    def listed(*arguments: str) -> list[str]:
        return [row["fingerprint"] for row in cli_environment.json("clusters", "list", *arguments)["clusters"]]

    assert listed() == [names[4], names[3]]
    assert listed("--state", "muted") == [names[0]]
    assert listed("--state", "resolved") == [names[1]]
    assert listed("--all") == names[::-1]
    assert listed("--type", "t.blue") == [names[3]]
    first = cli_environment.json("clusters", "list", "--all", "--limit", "3")
    assert listed("--all", "--limit", "3", "--page", first["next"]) == names[1::-1]


def test_a_cluster_is_worked_on_by_the_beginning_of_its_fingerprint(
    mirror: Mirror, cli_environment: CliEnvironment
) -> None:
    name = fail(mirror, "order 1 is bad", release="v7")
    short = name[:8]
    cli_environment.json("clusters", "assign", short, "ann")
    cli_environment.json("clusters", "note", short, "looks like the new parser")
    cli_environment.json("clusters", "resolve", short, "--note", "fixed")
    assert cli_environment.run("clusters", "resolve", short).exit_code == Exit.CONFLICT
    cli_environment.json("clusters", "reopen", short)
    assert cli_environment.run("clusters", "reopen", short).exit_code == Exit.CONFLICT
    found = cli_environment.json("clusters", "show", short)
    assert (found["fingerprint"], found["assignee"], found["state"]) == (name, "ann", "open")
    assert [each["note"] for each in found["notes"]] == ["looks like the new parser", "fixed"]
    assert len(found["dead_letters"]) == found["open_dead_letters"] == 1
    text = cli_environment.run("clusters", "show", short).stdout
    for words in ("Traceback of order 1 is bad", "order # is bad", "v7", "looks like the new parser", "t.job"):
        assert words in text
    missing = cli_environment.run("clusters", "show", "zzz")
    assert missing.exit_code == Exit.NOT_FOUND
    assert "jobplatform clusters list" in missing.stderr


def test_a_beginning_that_fits_several_is_refused(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    fail(mirror, "red")
    fail(mirror, "green")
    result = cli_environment.run("clusters", "mute", "")
    assert result.exit_code == Exit.USAGE
    assert "several clusters" in result.stderr


@pytest.mark.owner
def test_similar_clusters_are_offered_with_and_without_pgvector(
    mirror: Mirror, cli_environment: CliEnvironment
) -> None:
    one = fail(mirror, "payment gateway rejected the card of customer")
    other = fail(mirror, "payment gateway rejected the cards of customer")
    fail(mirror, "no space left on device", kind="OSError")
    (pair,) = cli_environment.json("clusters", "similar")
    assert {pair["one"], pair["other"]} == {one, other}
    assert [each["likeness"] for each in cli_environment.json("clusters", "similar", one[:9])] == [pair["likeness"]]
    with mirror.database.session() as session:
        assert not cluster_texts.has_vectors(session)
        session.connection.exec_driver_sql("create extension vector")
        try:
            assert cli_environment.json("clusters", "similar") == [pair]
            vectors = {name: embed(text) for name, text in cluster_texts.open_texts(session).items()}
            found = cluster_texts.compare(session, vectors, None, -1.0, 9)
            assert [each[:2] for each in found] == [each[:2] for each in alike(vectors, None, -1.0, 9)]
        finally:
            session.connection.exec_driver_sql("drop extension vector")
