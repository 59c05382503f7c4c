"""The rows of ``alerts``, ``alert_notices`` and ``alert_mutes``: what is wrong, and who is told of it or is not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: A condition that has not held for so long is over; one that comes and goes is one alert.
CALM = timedelta(seconds=60)

_MUTED = """exists (select from @alert_mutes m where m.condition = {0}.condition
            and m.subject in ('', {0}.subject) and (m.muted_until is null or m.muted_until > %(now)s))"""

NOTE_FOUND = Statement(
    "note_alerts_found",
    """
    insert into @alerts as a (condition, subject, message, opened_at, seen_at)
    select condition, subject, message, %(now)s, %(now)s
    from json_to_recordset(%(rows)s) as r(condition text, subject text, message text)
    on conflict (condition, subject) where state = 'open' do update
    set message = excluded.message, seen_at = excluded.seen_at
    """,
    {"rows": "[]", "now": _NOW},
)

CLOSE_CALM = Statement(
    "close_calm_alerts",
    """
    update @alerts set state = 'closed', closed_at = %(now)s where state = 'open' and seen_at <= %(calm)s
    returning alert_id, condition, subject, message, told_at is not null as was_told
    """,
    {"now": _NOW, "calm": _NOW},
)

# Told of at once, or again after a time; what is muted is told of when it is not any more.
TELL_OPEN = Statement(
    "tell_open_alerts",
    f"""
    with due as materialized (
        select alert_id, told_at from @alerts a where state = 'open'
            and (told_at is null or told_at <= %(before)s) and not {_MUTED.format("a")}
    )
    update @alerts a set told_at = %(now)s from due where a.alert_id = due.alert_id
    returning a.alert_id, a.message, due.told_at is not null as again
    """,
    {"now": _NOW, "before": _NOW},
)

ADD_NOTICES = Statement(
    "add_notices",
    """
    insert into @alert_notices (alert_id, target, event, message, due_at)
    select alert_id, target, event, message, %(now)s
    from json_to_recordset(%(rows)s) as r(alert_id bigint, target text, event text, message text)
    """,
    {"rows": "[]", "now": _NOW},
)

# The oldest of each target, so that nobody hears of an end before the beginning.
LIST_WAITING = Statement(
    "list_waiting_notices",
    """
    select n.notice_id, n.target, n.event, n.message, n.tries, a.alert_id, a.condition, a.subject, a.state,
        a.opened_at, a.closed_at
    from (
        select distinct on (target) * from @alert_notices where sent_at is null and given_up_at is null
        order by target, notice_id
    ) n join @alerts a using (alert_id)
    where n.due_at <= %(now)s order by n.notice_id
    """,
    {"now": _NOW},
)

NOTE_SENT = Statement(
    "note_notice_sent",
    "update @alert_notices set sent_at = %(now)s, tries = tries + 1, problem = null where notice_id = %(notice_id)s",
    {"notice_id": 1, "now": _NOW},
)

NOTE_FAILED = Statement(
    "note_notice_failed",
    """
    update @alert_notices set tries = tries + 1, problem = %(problem)s, due_at = coalesce(%(due_at)s, due_at),
        given_up_at = case when %(due_at)s::timestamptz is null then %(now)s end
    where notice_id = %(notice_id)s
    """,
    {"notice_id": 1, "problem": "", "due_at": _NOW, "now": _NOW},
)

GIVE_UP_ON = Statement(
    "give_up_on_targets",
    """
    update @alert_notices set given_up_at = %(now)s, problem = 'the settings do not name this target any more'
    where sent_at is null and given_up_at is null and not target = any(%(targets)s::text[])
    """,
    {"targets": ["mail"], "now": _NOW},
)

LIST_ALERTS = Statement(
    "list_alerts",
    f"""
    select a.alert_id, a.condition, a.subject, a.state, a.message, a.opened_at, a.closed_at, a.told_at,
        {_MUTED.format("a")} as muted,
        (select count(*)::int from @alert_notices n where n.alert_id = a.alert_id and n.sent_at is not null) as sent,
        (select n.problem from @alert_notices n where n.alert_id = a.alert_id and n.problem is not null
            order by n.notice_id desc limit 1) as problem
    from (
        (select * from @alerts where state = 'open')
        union all
        (select * from @alerts where %(every)s and state = 'closed' order by closed_at desc limit %(limit)s)
    ) a
    order by a.state desc, a.opened_at desc limit %(limit)s
    """,
    {"every": True, "limit": 50, "now": _NOW},
)

LIST_MUTES = Statement(
    "list_mutes",
    """
    select condition, subject, muted_until, muted_by, reason from @alert_mutes
    where muted_until is null or muted_until > %(now)s order by condition, subject
    """,
    {"now": _NOW},
)

PUT_MUTE = Statement(
    "put_mute",
    """
    insert into @alert_mutes (condition, subject, muted_until, muted_by, reason)
    values (%(condition)s, %(subject)s, %(until)s, %(by)s, %(reason)s)
    on conflict (condition, subject) do update set muted_until = excluded.muted_until, muted_by = excluded.muted_by,
        reason = excluded.reason
    """,
    {"condition": "long wait", "subject": "", "until": None, "by": "ann", "reason": None},
)

DROP_MUTE = Statement(
    "drop_mute",
    "delete from @alert_mutes where condition = %(condition)s and subject = %(subject)s",
    {"condition": "long wait", "subject": ""},
)

PRUNE_ALERTS = Statement(
    "prune_alerts",
    """
    delete from @alerts where alert_id in (
        select alert_id from @alerts where state = 'closed' and closed_at < %(before)s
        order by closed_at limit %(limit)s)
    """,
    {"before": _NOW, "limit": 1},
)


def note_found(transaction: Transaction, findings: Sequence[Mapping[str, str]], now: datetime) -> None:
    """Open an alert for each finding, or note that it still holds."""
    transaction.count(NOTE_FOUND, rows=json.dumps(list(findings)), now=now)


def close_calm(transaction: Transaction, now: datetime) -> Sequence[Row]:
    """Close alerts whose condition has not held for a while, and list them."""
    return transaction.rows(CLOSE_CALM, now=now, calm=now - CALM)


def tell_open(transaction: Transaction, now: datetime, repeat: timedelta) -> Sequence[Row]:
    """List open alerts that people are to be told of now, for the first time or ``again``; no other call lists them."""
    return transaction.rows(TELL_OPEN, now=now, before=now - repeat)


def add_notices(transaction: Transaction, rows: Sequence[Mapping[str, Any]], now: datetime) -> int:
    """Note what targets are to be told."""
    return transaction.count(ADD_NOTICES, rows=json.dumps(list(rows)), now=now)


def waiting(transaction: Transaction, now: datetime) -> Sequence[Row]:
    """List what is to be sent now, the oldest of each target."""
    return transaction.rows(LIST_WAITING, now=now)


def note_sent(transaction: Transaction, notice_id: int, now: datetime) -> None:
    """Note that a target was told."""
    transaction.count(NOTE_SENT, notice_id=notice_id, now=now)


def note_failed(transaction: Transaction, notice_id: int, problem: str, now: datetime, due_at: datetime | None) -> None:
    """Note why a target could not be told, and when it is tried again; never if None."""
    transaction.count(NOTE_FAILED, notice_id=notice_id, problem=problem, now=now, due_at=due_at)


def give_up_on(transaction: Transaction, targets: Sequence[str], now: datetime) -> int:
    """Give up what waits for any other target than these."""
    return transaction.count(GIVE_UP_ON, targets=list(targets), now=now)


def listed(transaction: Transaction, every: bool, limit: int, now: datetime) -> Sequence[Row]:
    """List open alerts, the latest first; and after them, if asked, those that are over."""
    return transaction.rows(LIST_ALERTS, every=every, limit=limit, now=now)


def mutes(transaction: Transaction, now: datetime) -> Sequence[Row]:
    """List what nobody is told of."""
    return transaction.rows(LIST_MUTES, now=now)


def mute(
    transaction: Transaction, condition: str, subject: str, until: datetime | None, by: str, reason: str | None
) -> None:
    """Tell nobody of a condition, of one subject or (empty) of all, for some time or for ever."""
    transaction.count(PUT_MUTE, condition=condition, subject=subject, until=until, by=by, reason=reason)


def unmute(transaction: Transaction, condition: str, subject: str) -> bool:
    """Tell people again; tells whether it was muted."""
    return bool(transaction.count(DROP_MUTE, condition=condition, subject=subject))


def prune(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete alerts that were over before a time, with their notices; returns how many."""
    return transaction.count(PRUNE_ALERTS, before=before, limit=limit)
