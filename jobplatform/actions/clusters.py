"""What can be done with clusters: errors of one kind, and what people do about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import ClusterNotFound, Forbidden, TransitionRefused
from jobplatform.fingerprint.similarity import alike, embed
from jobplatform.store import cluster_edits as edits
from jobplatform.store import cluster_texts, listing
from jobplatform.store import clusters as rows
from jobplatform.store.database import Transaction
from jobplatform.store.shapes.letter import Cluster, ClusterLetter, ClusterNote, ClusterShown

Row = Mapping[str, Any]

#: What comes from the job of a sample; lists leave some of it out.
_SAMPLE = frozenset({"sample", "sample_job", "traceback"})


class Page(NamedTuple):
    """A page of clusters, and where the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, Cluster]]
    next: tuple[datetime, str] | None


class Shown(NamedTuple):
    """A cluster with those that were merged into it, its open dead letters, and notes."""

    cluster: Annotated[Row, ClusterShown]
    merged: Sequence[Annotated[Row, Cluster]]
    letters: Sequence[Annotated[Row, ClusterLetter]]
    notes: Sequence[Annotated[Row, ClusterNote]]


class Pair(NamedTuple):
    """Two clusters that are alike, with the texts of both."""

    one: str
    other: str
    likeness: float
    one_text: str
    other_text: str


@action("clusters.list", Permission.LETTERS_READ)
def list_clusters(
    desk: Desk,
    actor: Actor,
    state: str | None,
    job_type: str | None,
    limit: int,
    after: tuple[datetime, str] | None = None,
) -> Page:
    """List clusters, those seen last first.

    :param state: ``open`` (and not muted), ``resolved`` or ``muted``; all if None.
    """
    wanted, muted = ("open" if state == "muted" else state), {"open": False, "muted": True}.get(state or "")
    with desk.look() as session:
        found = rows.page(session, wanted, muted, job_type, limit + 1, after)
        shown = _samples(session, actor, found[:limit])
    return Page(shown, (shown[-1]["last_seen"], shown[-1]["fingerprint"]) if len(found) > limit else None)


@action("clusters.show", Permission.LETTERS_READ)
def show_cluster(desk: Desk, actor: Actor, prefix: str) -> Shown:
    """Show a cluster: a sample with its traceback, where and when it came, open dead letters, and notes."""
    with desk.look() as session:
        name = rows.find(session, prefix)
        merged = rows.merged(session, name)
        family = [name, *(row["fingerprint"] for row in merged)]
        letters = rows.open_letters(session, family, actor.scope.queues, actor.scope.tenants)
        found, *others = _samples(session, actor, [rows.show(session, name, family), *merged])
        return Shown(found, others, letters, rows.notes(session, family))


@action("clusters.family", Permission.LETTERS_READ)
def family(desk: Desk, actor: Actor, prefix: str) -> tuple[str, ...]:
    """Name all fingerprints of a cluster: its own, and those that were merged into it.

    Where there is no such cluster it is what was given: dead letters that were imported have no cluster here.
    """
    with desk.look() as session:
        try:
            return tuple(rows.family(session, rows.find(session, prefix)))
        except ClusterNotFound:
            return (prefix,)


@action("clusters.similar", Permission.LETTERS_READ)
def similar(desk: Desk, actor: Actor, prefix: str | None, least: float, limit: int) -> list[Pair]:
    """List pairs of open clusters that are alike, of the 500 that were seen last: they may be one error."""
    with desk.look() as session:
        name = rows.find(session, prefix) if prefix else None
        texts = cluster_texts.open_texts(session)
        if name is not None:
            texts.setdefault(name, rows.show(session, name, [name])["text"])
        vectors = {each: embed(text) for each, text in texts.items()}
        if cluster_texts.has_vectors(session):
            pairs = cluster_texts.compare(session, vectors, name, least, limit)
        else:
            pairs = alike(vectors, name, least, limit)
    return [Pair(one, other, likeness, texts[one], texts[other]) for one, other, likeness in pairs]


@action("clusters.assign", Permission.LETTERS_RESOLVE, writes=True)
def assign(desk: Desk, actor: Actor, prefix: str, who: str | None) -> str:
    """Say who looks after a cluster; nobody if None. Gives its whole name, as the others do."""
    with _chosen(desk, actor, "clusters.assign", prefix, assignee=who) as (transaction, name):
        edits.assign(transaction, name, who)
    return name


@action("clusters.note", Permission.LETTERS_RESOLVE, writes=True)
def note(desk: Desk, actor: Actor, prefix: str, text: str) -> str:
    """Note something on a cluster."""
    with _chosen(desk, actor, "clusters.note", prefix, note=text) as (transaction, name):
        edits.note(transaction, name, text, actor.name)
    return name


@action("clusters.mute", Permission.LETTERS_RESOLVE, writes=True)
def mute(desk: Desk, actor: Actor, prefix: str, muted: bool) -> str:
    """Leave a cluster out of the list, or show it again; its errors are counted in any case."""
    with _chosen(desk, actor, "clusters.mute", prefix, muted=muted) as (transaction, name):
        edits.mute(transaction, name, muted)
    return name


@action("clusters.resolve", Permission.LETTERS_RESOLVE, writes=True)
def resolve(desk: Desk, actor: Actor, prefix: str, text: str | None = None) -> str:
    """Mark a cluster as resolved; it opens by itself if its error comes again.

    :param text: what was done.
    :raises TransitionRefused: when it is already.
    """
    with _chosen(desk, actor, "clusters.resolve", prefix, note=text) as (transaction, name):
        if not edits.resolve(transaction, name):
            raise TransitionRefused(f"cluster {name} is resolved already; see: jobplatform clusters show {name}")
        if text:
            edits.note(transaction, name, text, actor.name)
    return name


@action("clusters.reopen", Permission.LETTERS_RESOLVE, writes=True)
def reopen(desk: Desk, actor: Actor, prefix: str) -> str:
    """Mark a resolved cluster as open.

    :raises TransitionRefused: when it is already.
    """
    with _chosen(desk, actor, "clusters.reopen", prefix) as (transaction, name):
        if not edits.reopen(transaction, name):
            raise TransitionRefused(f"cluster {name} is open already; see: jobplatform clusters show {name}")
    return name


@action("clusters.merge", Permission.LETTERS_RESOLVE, writes=True)
def merge(desk: Desk, actor: Actor, prefix: str, target: str) -> tuple[str, str]:
    """Count the errors of one cluster for another as well, and list it no longer by itself; gives both names."""
    with _chosen(desk, actor, "clusters.merge", prefix, into=target) as (transaction, name):
        into = _mine(transaction, actor, "clusters.merge", target)
        edits.merge(transaction, name, into)
    return name, into


def _samples(session: Transaction, actor: Actor, found: Sequence[Row]) -> Sequence[Row]:
    """Leave out the samples that come from jobs out of the actor's scope; an error as such is everybody's."""
    if actor.scope.everywhere:
        return found
    ids = [row["sample_job"] for row in found if row["sample_job"]]
    known = listing.within(session, ids, actor.scope.queues, actor.scope.tenants)
    return [row if row["sample_job"] in known else {**row, **dict.fromkeys(_SAMPLE & row.keys())} for row in found]


@contextmanager
def _chosen(desk: Desk, actor: Actor, action: str, prefix: str, **values: Any) -> Iterator[tuple[Transaction, str]]:
    """Open a transaction that is written down, and find the cluster that is meant.

    :raises Forbidden: when no job with this error is in the actor's scope.
    """
    about: dict[str, Any] = {"cluster": prefix, **values}
    with desk.change(actor, action, about) as change:
        about["cluster"] = _mine(change.transaction, actor, action, prefix)
        yield change.transaction, about["cluster"]


def _mine(session: Transaction, actor: Actor, action: str, prefix: str) -> str:
    name = rows.find(session, prefix)
    if not actor.scope.everywhere:
        family = rows.family(session, name)
        (found,) = _samples(session, actor, [rows.show(session, name, family)])
        if not (found["sample_job"] or rows.open_letters(session, family, actor.scope.queues, actor.scope.tenants)):
            raise Forbidden(
                action, str(Permission.LETTERS_RESOLVE), "errors that no job of your queues and tenants had"
            )
    return name
