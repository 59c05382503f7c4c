"""What can be done with replays: run the jobs of dead letters once more, a few of them first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.letters import Left, as_json, demand, left_of, within
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobOptionError, ReplayNotFound, TransitionRefused
from jobplatform.maintenance import replay_plan
from jobplatform.maintenance.replay_plan import Plan
from jobplatform.store import dead_letters, replay_jobs, replays
from jobplatform.store.database import Transaction
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.store.replays import Wish
from jobplatform.store.shapes.replay import LetterReplayed, Replay, ReplayAsked, ReplayListed, Trouble

Row = Mapping[str, Any]

#: The most jobs of a replay.
MOST = 10_000_000
#: So few dead letters that are named one by one run at once.
FEW = 10
#: So many jobs that did not go well are shown.
TROUBLE = 20
_STATES = ("waiting", "sent", "succeeded", "failed", "skipped")
_LETTER = ("dlq_id", "job_id", "job_type", "error_type")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a replay goes.

    :param rate: jobs that may be sent in a second; None for any.
    :param canaries: how many go first; 0 for none, None for 1 %, at least 5.
    :param limit: the most jobs, of which the oldest are taken.
    """

    rate: float | None = None
    canaries: int | None = None
    limit: int = MOST


class Page(NamedTuple):
    """A page of replays, and the id after which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, ReplayListed]]
    next: int | None


class Shown(NamedTuple):
    """A replay with its counts, and the first of its jobs that did not go well."""

    replay: Annotated[Row, Replay]
    trouble: Sequence[Annotated[Row, Trouble]]


class Replayed(NamedTuple):
    """Dead letters that were to run at once, each ``replayed`` or ``refused``, and those that were left alone."""

    letters: Sequence[Annotated[Row, LetterReplayed]]
    left: Left


@action("letters.replay", Permission.LETTERS_REPLAY, writes=True)
def replay_now(desk: Desk, actor: Actor, chosen: LetterFilter) -> Replayed:
    """Run the jobs of a few dead letters once more at once; their retries are restored.

    :raises JobOptionError: when they are not named one by one, or too many.
    """
    ids = chosen.dlq_ids or ()
    if len(ids) not in range(1, FEW + 1):
        raise JobOptionError(f"dlq_ids: {len(ids)} were named, and 1 to {FEW} run at once; start a replay of them")
    with desk.change(actor, "letters.replay", as_json(chosen)) as change:
        rows = dead_letters.payloads(change.transaction, within(actor, chosen), len(ids))
        jobs = sorted({row["job_id"] for row in rows})
        done = frozenset(dead_letters.replay(change.transaction, jobs, actor.name))
        left = left_of(change.transaction, actor, frozenset(ids) - {row["dlq_id"] for row in rows})
        change.outcome.update(replayed=len(done), refused=len(jobs) - len(done))
    outcomes = ("replayed" if row["job_id"] in done else "refused" for row in rows)
    made = zip(rows, outcomes, strict=True)
    return Replayed([{**{name: row[name] for name in _LETTER}, "outcome": outcome} for row, outcome in made], left)


@action("replays.plan", Permission.LETTERS_REPLAY)
def plan(desk: Desk, actor: Actor, chosen: LetterFilter, pace: Pace) -> Plan:
    """Tell what a replay would run, what is in its way, and how long it takes at least; nothing is changed."""
    demand(chosen)
    app, wish = desk.application(), Wish(actor.name, pace.rate, pace.canaries)
    with desk.database.transaction() as transaction:
        return replay_plan.plan(transaction, app, within(actor, chosen), wish, pace.limit, desk.settings.payload_limit)


@action("replays.start", Permission.LETTERS_REPLAY, writes=True)
def start(desk: Desk, actor: Actor, chosen: LetterFilter, pace: Pace) -> Annotated[Row, ReplayAsked] | None:
    """Let the controller run the jobs of dead letters once more, a few first; None when there are no such letters."""
    demand(chosen)
    about = {**as_json(chosen), "rate": pace.rate, "canaries": pace.canaries, "limit": pace.limit}
    with desk.change(actor, "replays.start", about) as change:
        wish = Wish(actor.name, pace.rate, pace.canaries)
        made = replays.ask(change.transaction, within(actor, chosen), wish, pace.limit)
        change.outcome.update({"jobs": 0} if made is None else {"replay_id": made["replay_id"], "jobs": made["jobs"]})
    return made


@action("replays.list", Permission.LETTERS_READ)
def list_replays(desk: Desk, actor: Actor, running: bool, limit: int, after: int | None = None) -> Page:
    """List replays, newest first; those that were asked for within what the actor may see.

    :param running: only those that have not ended.
    """
    with desk.look() as session:
        rows = replays.listed(session, running, limit + 1, after, actor.scope.queues, actor.scope.tenants)
    return Page(rows[:limit], rows[limit - 1]["replay_id"] if len(rows) > limit else None)


@action("replays.show", Permission.LETTERS_READ)
def show_replay(desk: Desk, actor: Actor, replay_id: int) -> Shown:
    """Show how far a replay is, why it ended, and which of its jobs did not go well."""
    with desk.look() as session:
        return Shown(_seen(session, actor, replay_id), replay_jobs.trouble(session, replay_id, TROUBLE))


@action("replays.pause", Permission.LETTERS_REPLAY, writes=True)
def pause(desk: Desk, actor: Actor, replay_id: int, reason: str | None = None) -> Annotated[Row, Replay]:
    """Send nothing more of a replay until it is resumed; what was sent goes on.

    :raises TransitionRefused: when it does not run.
    """
    words = f"paused by {actor.name}" + (f": {reason}" if reason else "")
    with desk.change(actor, "replays.pause", {"replay_id": replay_id}, reason) as change:
        row = _seen(change.transaction, actor, replay_id)
        if not replays.pause(change.transaction, replay_id, words):
            raise TransitionRefused(f"replay {replay_id} does not run: it is {row['state']}")
        return _seen(change.transaction, actor, replay_id)


@action("replays.resume", Permission.LETTERS_REPLAY, writes=True)
def resume(desk: Desk, actor: Actor, replay_id: int) -> Annotated[Row, Replay]:
    """Let a paused replay go on in the step in which it was.

    :raises TransitionRefused: when it is not paused.
    """
    with desk.change(actor, "replays.resume", {"replay_id": replay_id}) as change:
        row = _seen(change.transaction, actor, replay_id)
        if not replays.resume(change.transaction, replay_id):
            raise TransitionRefused(f"replay {replay_id} is not paused: it is {row['state']}")
        return _seen(change.transaction, actor, replay_id)


@action("replays.cancel", Permission.LETTERS_REPLAY, writes=True)
def cancel(desk: Desk, actor: Actor, replay_id: int) -> Annotated[Row, Replay]:
    """Send nothing more of a replay; what was sent goes on, what was not stays a dead letter.

    :raises TransitionRefused: when it has ended.
    """
    with desk.change(actor, "replays.cancel", {"replay_id": replay_id}) as change:
        row = _seen(change.transaction, actor, replay_id)
        if not replays.end(change.transaction, replay_id, "cancelled", f"cancelled by {actor.name}", desk.now()):
            raise TransitionRefused(f"replay {replay_id} has ended already: it is {row['state']}")
        return _seen(change.transaction, actor, replay_id)


def _seen(session: Transaction, actor: Actor, replay_id: int) -> Row:
    """Read a replay with a count of its jobs by state.

    :raises ReplayNotFound: also when it is out of the actor's scope.
    """
    row = replays.show(session, replay_id, actor.scope.queues, actor.scope.tenants)
    if row is None:
        raise ReplayNotFound(f"replay {replay_id}: there is none of this id; see: jobplatform dlq replays list")
    counts = {state: row["counts"].get(state, 0) for state in _STATES}
    return {**{name: value for name, value in row.items() if name != "counts"}, **counts}
