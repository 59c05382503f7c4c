"""What is where, read from the stores by code that shares nothing with the platform, and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_story import Job, Story

_SEPARATOR = "\x06\x16"
_LISTS = {"work": 1, **{f"work{_SEPARATOR}{priority}": priority for priority in (2, 3, 4, 5)}}
_FINAL = ("COMPLETED", "FAILED", "CANCELLED")
_RANK = {"PAUSED": 1, "PROCESSING": 2, "RETRYING": 3, **dict.fromkeys(_FINAL, 4)}
_NEWS_RANK = {"completed": 4, "cancelled": 4, "failed": 3, "lost": 3, "unreadable": 3, "parked": 1}

ROWS = """
    select job_id::text, status, attempt, due_at is not null, deaths, retry_count, result,
        (select json_object_agg(attempt_number, json_build_array(status, metrics->'pid'))
            from @job_executions e where e.job_id = j.job_id)
    from @jobs j
"""


@dataclass(frozen=True)
class Row:
    """The row of a job."""

    status: str
    attempt: int
    due: bool
    deaths: int
    retries: int
    result: Any
    executions: Mapping[str, Any] | None

    @property
    def is_final(self) -> bool:
        return self.status in _FINAL

    @property
    def place(self) -> tuple[int, int]:
        return self.attempt, _RANK.get(self.status, 0)


@dataclass(frozen=True)
class Sight:
    """What the stores hold; journal entries with their place: the name of the field, and the id in the stream."""

    messages: list[tuple[str, str, int]]
    leases: dict[str, tuple[str, int]]
    times: set[str]
    starts: dict[str, Any]
    journal: list[tuple[str, dict[str, Any]]]
    fences: dict[str, float]
    rows: dict[str, Row]
    journal_ids: list[bytes]


def see(client: Any, rows: list[tuple[Any, ...]]) -> Sight:
    """Read all of Redis in one round trip.

    :param rows: what ``ROWS`` selects.
    """
    with client.pipeline(transaction=False) as pipe:
        for name in _LISTS:
            pipe.lrange(name, 0, -1)
        pipe.hgetall("unacked").zrange("unacked_index", 0, -1).hgetall("jp:starts").hgetall("jp:fences")
        pipe.xrange("jp:journal").xrange("jp:early")
        *lists, leases, times, starts, fences, journal, early = pipe.execute()
    entries = [
        (f"{name.decode()} {stream_id.decode()}", json.loads(text))
        for stream_id, fields in journal
        for name, text in fields.items()
    ]
    entries += [(f"{fields[b'field'].decode()} early", json.loads(fields[b"raw"])) for _, fields in early]
    return Sight(
        [(name, *_names(raw)) for name, found in zip(_LISTS, lists, strict=True) for raw in map(json.loads, found)],
        {tag.decode(): _names(json.loads(lease)[0]) for tag, lease in leases.items()},
        {tag.decode() for tag in times},
        {tag.decode(): json.loads(start) for tag, start in starts.items()},
        entries,
        {job_id.decode(): float(fence) for job_id, fence in fences.items()},
        {job_id: Row(*values) for job_id, *values in rows},
        [stream_id for stream_id, _ in journal],
    )


def priority_of(queue_list: str) -> int:
    return _LISTS[queue_list]


def _names(message: Mapping[str, Any]) -> tuple[str, int]:
    return message["headers"]["id"], message["headers"]["jp_attempt"]


def _of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the entry of the start, where one tells that an attempt was lost."""
    return entry["of"] if entry["k"] == "lost" else entry


@dataclass(frozen=True)
class Place:
    """Where a job is, and as which attempt."""

    where: str
    attempt: int

    def __repr__(self) -> str:
        return f"{self.where} (attempt {self.attempt})"


def places(sight: Sight, job: Job) -> list[Place]:
    """List the places where a job is: queue, lease, journal, or a row that is due or held.

    Messages below their fence and leases at it count for nothing, nor does news that is behind the row.
    """
    row, fence = sight.rows.get(job.job_id), sight.fences.get(job.job_id, 0)
    found = [
        Place("queue", attempt) for _, job_id, attempt in sight.messages if job_id == job.job_id and attempt >= fence
    ]
    found += [
        Place(f"lease {tag}", attempt)
        for tag, (job_id, attempt) in sight.leases.items()
        if job_id == job.job_id and fence < attempt + 1
    ]
    told = {
        _of(entry)["a"]
        for place, entry in sight.journal
        if place[0] == "e" and _of(entry).get("j") == job.job_id and _is_ahead(entry, row)
    }
    found += [Place("journal", attempt) for attempt in sorted(told)]
    if row is not None and (row.due or row.status == "PAUSED"):
        found.append(Place(f"row, {row.status}", row.attempt))
    return found


def leading_places(sight: Sight, job: Job) -> list[Place]:
    """List those of the places that lead to the job's end, as its row does not show a later attempt."""
    row = sight.rows.get(job.job_id)
    return [place for place in places(sight, job) if row is None or place.attempt >= row.attempt]


def _is_ahead(entry: Mapping[str, Any], row: Row | None) -> bool:
    rank = _NEWS_RANK.get(entry["k"], 0)
    return rank > 0 and (row is None or (_of(entry).get("a", 1), rank) > row.place)


def judge(story: Story, sight: Sight) -> None:
    """Hold what is seen against all that must be so after every step."""
    for job in story.jobs.values():
        row = sight.rows.get(job.job_id)
        _judge_place(job, row, sight)
        if row is not None:
            _judge_row(story, job, row)
    for name, job_id, _ in sight.messages:
        assert story.jobs[job_id].priority == priority_of(name), f"{job_id} waits in the list {name!r}"
    for tag in sight.leases.keys() - (sight if story.leases is None else story).leases.keys():
        job_id, attempt = sight.leases[tag]
        valid = sight.fences.get(job_id, 0) < attempt + 1
        assert valid or story.jobs[job_id].rolled_back, f"{tag} is leased, and a later attempt of the job is valid"
    story.leases = sight.leases
    assert sight.leases.keys() == sight.times, "each lease has a time, and each time a lease"
    assert sight.starts.keys() <= sight.leases.keys(), "a start is kept only beside its lease"
    for place, entry in sight.journal:
        _judge_entry(story, place, entry)


def _judge_place(job: Job, row: Row | None, sight: Sight) -> None:
    if row is not None and job.doubted and sight.fences.get(job.job_id, 0) >= row.attempt:
        job.doubted = False
    if row is not None and row.is_final:
        return
    found, leading = places(sight, job), leading_places(sight, job)
    job.astray = job.astray and not leading
    assert leading or job.astray, f"job {job.number} is nowhere; {found}, {row}"
    if not (job.doubted or job.rolled_back):
        assert len(found) <= 1, f"job {job.number} is in {len(found)} places: {found}; {row}"
    submitted = any(entry["k"] == "submitted" and entry["j"] == job.job_id for _, entry in sight.journal)
    assert row or submitted or job.astray or job.forgotten, f"job {job.number} has no row, and none is on its way"


def _judge_row(story: Story, job: Job, row: Row) -> None:
    was, job.shown, job.due = job.shown, row.place, row.due
    assert row.place >= was, f"job {job.number} went backwards: from {was} to {row}"
    assert job.ended in (None, row.status), f"job {job.number} had ended ({job.ended}), and goes on: {row}"
    job.ended = row.status if row.is_final else None
    assert job.result is None or row.result == job.result, f"job {job.number} was settled again: {job.result}, {row}"
    job.result = row.result
    assert job.forgotten or row.deaths <= job.deaths, (
        f"job {job.number} died {job.deaths} times, its row says {row.deaths}"
    )
    assert row.retries <= job.failures, f"job {job.number} failed {job.failures} times; {row}"
    for hold in story.of(job):
        if hold.runs and hold.sound and not row.is_final:
            assert row.attempt <= hold.attempt, f"{hold} runs, and was given up for no reason: {row}"
    for attempt, (status, run) in (row.executions or {}).items():
        known = job.executions.setdefault(attempt, (status, run))
        assert known == (status, run) or known[0] == "PROCESSING", f"attempt {attempt} of job {job.number} ended twice"
        job.executions[attempt] = status, run
    if row.result is not None and not job.rolled_back:
        assert not story.runs[row.result].taken, f"{story.runs[row.result]} was taken away, and settled {row}"


def _judge_entry(story: Story, place: str, entry: Mapping[str, Any]) -> None:
    run, kind = entry.get("p"), entry["k"]
    if run is None or kind == "lost":
        return
    hold, refused = story.runs[run], place[0] == "x"
    known = story.told.get((run, kind))
    if hold.taken:
        assert refused or known, f"{hold} was taken away, and is not refused: {entry}"
    elif hold.sound:
        assert not refused, f"{hold} was not taken away, and is refused: {entry}"
    if not refused:
        story.told[run, kind] = place
        assert known in (None, place) or story.forgot, f"it is journalled twice that {hold} {kind}: {known}, {place}"


def judge_end(story: Story, sight: Sight) -> None:
    """Hold what is seen against what must be so when all has come to its end."""
    for hold in story.holds.values():
        row = sight.rows[hold.job.job_id]
        if hold.completed and hold.sound and row.status != "CANCELLED":
            assert row.result == hold.run, f"{hold} completed, and nothing befell its worker, but not so its row: {row}"


def lines(sight: Sight) -> Iterator[str]:
    """Write what is seen, for people."""
    yield from (f"queue: {message}" for message in sight.messages)
    yield from (f"lease: {tag} {names}" for tag, names in sight.leases.items())
    yield from (f"journal: {place} {entry}" for place, entry in sight.journal)
    yield from (f"fence: {job_id[-2:]} {fence}" for job_id, fence in sight.fences.items())
    yield from (f"row: {job_id[-2:]} {row}" for job_id, row in sight.rows.items())
