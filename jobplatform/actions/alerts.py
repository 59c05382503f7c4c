"""What can be done with alerts: see what is wrong, tell nobody of it for a while, and try whether people are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.controller.upkeep import targets_of, thresholds_of
from jobplatform.errors import JobOptionError, TransitionRefused
from jobplatform.maintenance.alerter import tell
from jobplatform.maintenance.conditions import NAMES, rules
from jobplatform.maintenance.notice import Notice
from jobplatform.store import alerts as rows
from jobplatform.store.shapes.alert import Alert, Mute

Row = Mapping[str, Any]


class Alerts(NamedTuple):
    """What is wrong, or was; what nobody is told of; and who is told of the rest.

    :param rules: when each condition holds.
    """

    alerts: Sequence[Annotated[Row, Alert]]
    mutes: Sequence[Annotated[Row, Mute]]
    targets: Sequence[str]
    rules: Mapping[str, str]


@action("alerts.list", Permission.ALERTS_READ)
def list_alerts(desk: Desk, actor: Actor, every: bool = False, limit: int = 100) -> Alerts:
    """List what is wrong, with what was sent and what could not be.

    :param every: what is over as well.
    """
    with desk.look() as session:
        found = rows.listed(session, every, limit, desk.now())
        muted = rows.mutes(session, desk.now())
    targets = [target.name for target in targets_of(desk.settings)]
    return Alerts(found, muted, targets, rules(thresholds_of(desk.settings)))


@action("alerts.mute", Permission.ALERTS_WRITE, writes=True)
def mute(
    desk: Desk,
    actor: Actor,
    condition: str,
    subject: str = "",
    until: datetime | None = None,
    reason: str | None = None,
) -> None:
    """Tell nobody of a condition, of one subject or (empty) of all, until a time or until it is unmuted.

    :raises JobOptionError: when there is no such condition.
    """
    _known(condition)
    about = {"condition": condition, "subject": subject, "until": until}
    with desk.change(actor, "alerts.mute", about, reason) as change:
        rows.mute(change.transaction, condition, subject, until, actor.name, reason)


@action("alerts.unmute", Permission.ALERTS_WRITE, writes=True)
def unmute(desk: Desk, actor: Actor, condition: str, subject: str = "") -> None:
    """Tell people of a condition again.

    :raises TransitionRefused: when it is not muted.
    """
    _known(condition)
    with desk.change(actor, "alerts.unmute", {"condition": condition, "subject": subject}) as change:
        if not rows.unmute(change.transaction, condition, subject):
            raise TransitionRefused(f"alert {condition!r} is not muted; see: jobplatform alerts list")


@action("alerts.test", Permission.ALERTS_WRITE, writes=True)
def test(desk: Desk, actor: Actor) -> dict[str, str | None]:
    """Send a notice to everybody who is told of alerts; gives by target what went wrong, None when nothing did."""
    now = desk.now()
    notice = Notice(0, "test", "test", "", f"{actor.name} tries whether alerts arrive", now, now)
    outcome = {target.name: tell(target, notice) for target in targets_of(desk.settings)}
    desk.note(actor, "alerts.test", {}, outcome)
    return outcome


def _known(condition: str) -> None:
    if condition not in NAMES:
        raise JobOptionError(f"condition: {condition!r} is none; choose one of {', '.join(NAMES)}")
