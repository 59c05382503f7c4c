"""What can be done with models: see how they did, train and judge them, and let them decide or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import JobOptionError, ModelNotFound, TransitionRefused
from jobplatform.learning.drift import Drift, drift
from jobplatform.learning.taught import Taught
from jobplatform.store import model_trials
from jobplatform.store import models as rows
from jobplatform.store.database import Transaction
from jobplatform.store.shapes.model import Evaluation, Model, ModelListed, TypeTrial

Row = Mapping[str, Any]
KINDS = rows.KINDS

_DRIFT_ROWS = 1_000
_MISSING = "model {}: there is none of this version; see: jobplatform models list"


class Page(NamedTuple):
    """A page of models, and the version before which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, ModelListed]]
    next: int | None


class Shown(NamedTuple):
    """A model, and how far what comes now is from what it learned from; None where that is not known."""

    model: Annotated[Row, Model]
    drift: Drift | None


class Trials(NamedTuple):
    """Who decides on the retries of each job type.

    :param switch: what JOBPLATFORM_RETRY_MODEL says; unless it is ``auto``, the rule decides everywhere.
    """

    types: Sequence[Annotated[Row, TypeTrial]]
    switch: str


@action("models.list", Permission.MODELS_READ)
def list_models(desk: Desk, actor: Actor, kind: str | None, limit: int, before: int | None = None) -> Page:
    """List models, newest first, and how each did on what it did not learn from."""
    with desk.look() as session:
        found = rows.newest(session, [kind] if kind else KINDS, limit + 1, before)
    return Page([_brief(row) for row in found[:limit]], found[limit - 1]["version"] if len(found) > limit else None)


@action("models.show", Permission.MODELS_READ)
def show_model(desk: Desk, actor: Actor, version: int) -> Shown:
    """Show a model, how it did, and how far what comes now is from what it learned from."""
    with desk.look() as session:
        row = _require(session, version)
        drift = _drift(session, row)
    return Shown(
        {**row, "metrics": {name: row["metrics"][name] for name in row["metrics"] if name != "spreads"}}, drift
    )


@action("models.train", Permission.MODELS_WRITE, writes=True)
def train(desk: Desk, actor: Actor, kind: str | None, tell: Callable[[str], None] = lambda words: None) -> Taught:
    """Train a model now, of retries unless another kind is named.

    :param tell: told what is being done.
    :raises NothingLearned: when another training of the kind runs, or there is too little to learn from.
    """
    from jobplatform.learning.lessons import teach

    taught = teach(kind or rows.RETRY, desk.database, desk.settings, tell)
    outcome = {"version": taught.version, "state": taught.state}
    desk.note(actor, "models.train", {"kind": kind or rows.RETRY}, outcome, taught.reason)
    return taught


@action("models.evaluate", Permission.MODELS_READ)
def evaluate(desk: Desk, actor: Actor, version: int) -> Annotated[Row, Evaluation]:
    """Measure a model against the rule, on the newest outcomes that it did not learn from."""
    from jobplatform.learning.lesson import evaluate, metrics_of

    with desk.look() as session:
        return metrics_of(evaluate(session, _require_of_retries(session, version)))


@action("models.types", Permission.MODELS_READ)
def list_types(desk: Desk, actor: Actor) -> Trials:
    """List who decides on the retries of each job type, and why."""
    switch = desk.settings.retry_model
    with desk.look() as session:
        return Trials([_decides(row, switch) for row in model_trials.all_trials(session)], switch)


@action("models.promote", Permission.MODELS_WRITE, writes=True)
def promote(desk: Desk, actor: Actor, version: int | None = None, job_type: str | None = None) -> str:
    """Put a version in force, or let models decide on a job type before they have won there; gives the reason.

    :raises TransitionRefused: when the version's artifact is not kept any more.
    """
    _want_one(version, job_type)
    reason = f"promoted by {actor.name}"
    with desk.change(actor, "models.promote", {"version": version, "job_type": job_type}) as change:
        if version is None:
            _put(change.transaction, desk.now(), job_type, "active", reason)
        else:
            _require(change.transaction, version)
            if not rows.promote(change.transaction, version, reason):
                raise TransitionRefused(f"model {version}: its artifact is not kept any more; choose a newer one")
    return reason


@action("models.retire", Permission.MODELS_WRITE, writes=True)
def retire(desk: Desk, actor: Actor, version: int | None = None, job_type: str | None = None, why: str = "") -> str:
    """Take a version out of use, or leave a job type to the rule; gives the reason.

    :raises TransitionRefused: when the version is retired already.
    """
    _want_one(version, job_type)
    reason = f"retired by {actor.name}{': ' if why else ''}{why}"
    with desk.change(actor, "models.retire", {"version": version, "job_type": job_type}, why or None) as change:
        if version is None:
            _put(change.transaction, desk.now(), job_type, "retired", reason)
        else:
            _require(change.transaction, version)
            if not rows.retire(change.transaction, version, reason):
                raise TransitionRefused(f"model {version} is retired already")
    return reason


@action("models.trial", Permission.MODELS_WRITE, writes=True)
def put_on_trial(desk: Desk, actor: Actor, job_type: str) -> str:
    """Put a job type back on trial: its model decides again once it has won. Gives the reason."""
    reason = f"on trial, as {actor.name} wanted"
    with desk.change(actor, "models.trial", {"job_type": job_type}) as change:
        _put(change.transaction, desk.now(), job_type, "shadow", reason)
    return reason


@action("models.report", Permission.MODELS_READ)
def report(desk: Desk, actor: Actor, version: int) -> str:
    """Write a page in HTML on a model of retries: calibration, gain by job type, and feature importance."""
    from jobplatform.learning.report import page

    with desk.look() as session:
        return page(_require_of_retries(session, version), model_trials.all_trials(session))


def _require(session: Transaction, version: int) -> Row:
    row = rows.show(session, version)
    if row is None:
        raise ModelNotFound(_MISSING.format(version))
    return row


def _require_of_retries(session: Transaction, version: int) -> Row:
    row = _require(session, version)
    if row["kind"] != rows.RETRY:
        raise JobOptionError(
            f"model {version}: it is of kind {row['kind']}, this is for those of retries; see: jobplatform models show"
        )
    return row


def _drift(session: Transaction, row: Row) -> Drift | None:
    if row["kind"] != rows.RETRY:
        return None
    return drift(row["metrics"].get("spreads", {}), rows.examples(session, row["window_to"], _DRIFT_ROWS))


def _want_one(version: int | None, job_type: str | None) -> None:
    if (version is None) == (job_type is None):
        raise JobOptionError("version: say which: a version, or a job type")


def _put(transaction: Transaction, now: datetime, job_type: str | None, state: str, reason: str) -> None:
    """Write an operator's word on a job type; the controller reads it within seconds."""
    head = rows.in_force(transaction)
    row: dict[str, Any] = {"job_type": job_type, "state": state, "since": now.timestamp(), "reason": reason}
    row |= {"version": head and head["version"], "score": {}, "forced": state != "shadow"}
    model_trials.write(transaction, [row])


def _brief(row: Row) -> dict[str, Any]:
    metrics = row["metrics"]
    kept = {name: value for name, value in row.items() if name not in ("metrics", "calibration", "features")}
    return {**kept, "base_rate": round(row["base_rate"], 4), "skill": metrics.get("skill"), "gap": metrics.get("gap")}


def _decides(row: Row, switch: str) -> dict[str, Any]:
    learned = row["state"] == "active" and switch == "auto" and row["version"] is not None
    score = row["score"]
    return {
        **row,
        "since": datetime.fromtimestamp(row["since"], UTC) if row["since"] else None,
        "decides": f"model {row['version']}" if learned else "rule",
        "outcomes": score.get("outcomes"),
        "skill": score.get("skill"),
    }
