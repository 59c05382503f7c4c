"""The group ``clusters``: errors of one kind, and what people do about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from jobplatform.actions import clusters as actions
from jobplatform.actions.clusters import Pair
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, iso, json_option
from jobplatform.cli.parameters import MOMENT
from jobplatform.fingerprint.similarity import LEAST

_COLUMNS = ("fingerprint", "errors", "last_seen", "error_type", "sample", "dependency", "assignee")
_LETTER_COLUMNS = ("dlq_id", "job_id", "job_type", "reason", "failed_at")
_NOTE_COLUMNS = ("noted_at", "noted_by", "note")
_MERGED_COLUMNS = ("fingerprint", "errors", "last_seen", "sample")
_SIMILAR_COLUMNS = ("likeness", "one", "other", "one_text", "other_text")


class _Cursor(click.ParamType):  # type: ignore[type-arg]
    """The end of a page: when its last cluster was seen last, and that cluster's fingerprint."""

    name = "cursor"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[datetime, str]:
        moment, _, fingerprint = str(value).partition("_")
        return MOMENT.convert(moment, param, ctx), fingerprint


@click.group(short_help="List, show, assign, resolve and merge errors of one kind.")
def clusters() -> None:
    """List, show, assign, resolve and merge errors of one kind.

    A cluster holds all errors of one fingerprint: type, message without its variable parts, and the own code that it
    came from. It is named by its fingerprint, or the beginning of it.
    """


@clusters.command("list")
@click.option("--state", type=click.Choice(["open", "resolved", "muted"]), default="open", show_default=True)
@click.option("--type", "job_type", help="That jobs of this type failed of.")
@click.option("--all", "every", is_flag=True, help="In any state, those that were merged into others as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Clusters on a page.")
@click.option("--page", type=_Cursor(), help="The cursor that the page before printed.")
@json_option
@mapped()
def list_clusters(
    state: str, job_type: str | None, every: bool, limit: int, page: tuple[datetime, str] | None, output: Output
) -> None:
    """List clusters, those seen last first; open ones that are not muted, unless asked otherwise."""
    with open_desk() as (desk, actor):
        found = actions.list_clusters(desk, actor, None if every else state, job_type, limit, page)
    cursor = f"{iso(found.next[0])}_{found.next[1]}" if found.next else None
    output.page("clusters", found.rows, _COLUMNS, cursor)


@clusters.command("show")
@click.argument("fingerprint")
@json_option
@mapped()
def show_cluster(fingerprint: str, output: Output) -> None:
    """Show a cluster: a sample with its traceback, where and when it came, open dead letters, and notes."""
    with open_desk() as (desk, actor):
        cluster, merged, letters, notes = actions.show_cluster(desk, actor, fingerprint)
    found = dict(cluster)
    if output.as_json:
        lists = {"merged": merged, "dead_letters": letters, "notes": notes}
        output.json({**found, **{key: [dict(row) for row in value] for key, value in lists.items()}})
        return
    traceback, text, sample = found.pop("traceback"), found.pop("text"), found.pop("sample")
    output.record({name: value for name, value in found.items() if value not in ([], {}, 0, False)})
    output.block("identity", text)
    output.block("sample", sample or "-")
    if traceback:
        output.block("traceback", traceback)
    output.section("merged", merged, _MERGED_COLUMNS)
    output.section("open dead letters, newest first", letters, _LETTER_COLUMNS)
    output.section("notes", notes, _NOTE_COLUMNS)


def _report(output: Output, name: str, words: str, **values: Any) -> None:
    if output.as_json:
        output.json({"fingerprint": name, **values})
    else:
        output.line(f"{name} {words}")


@clusters.command("assign")
@click.argument("fingerprint")
@click.argument("who", required=False)
@json_option
@mapped()
def assign(fingerprint: str, who: str | None, output: Output) -> None:
    """Say WHO looks after a cluster; nobody if left out."""
    with open_desk() as (desk, actor):
        name = actions.assign(desk, actor, fingerprint, who)
    _report(output, name, f"is looked after by {who or 'nobody'}", assignee=who)


@clusters.command("note")
@click.argument("fingerprint")
@click.argument("text")
@json_option
@mapped()
def note(fingerprint: str, text: str, output: Output) -> None:
    """Note something on a cluster."""
    with open_desk() as (desk, actor):
        name = actions.note(desk, actor, fingerprint, text)
    _report(output, name, "is noted on", note=text)


@clusters.command("mute")
@click.argument("fingerprint")
@json_option
@mapped()
def mute(fingerprint: str, output: Output) -> None:
    """Leave a cluster out of the list; its errors are still counted."""
    with open_desk() as (desk, actor):
        name = actions.mute(desk, actor, fingerprint, muted=True)
    _report(output, name, "is muted", muted=True)


@clusters.command("unmute")
@click.argument("fingerprint")
@json_option
@mapped()
def unmute(fingerprint: str, output: Output) -> None:
    """Show a muted cluster in the list again."""
    with open_desk() as (desk, actor):
        name = actions.mute(desk, actor, fingerprint, muted=False)
    _report(output, name, "is no longer muted", muted=False)


@clusters.command("resolve")
@click.argument("fingerprint")
@click.option("--note", "text", help="What was done.")
@json_option
@mapped()
def resolve(fingerprint: str, text: str | None, output: Output) -> None:
    """Mark a cluster as resolved; it opens by itself if its error comes again."""
    with open_desk() as (desk, actor):
        name = actions.resolve(desk, actor, fingerprint, text)
    _report(output, name, "is resolved", state="resolved")


@clusters.command("reopen")
@click.argument("fingerprint")
@json_option
@mapped()
def reopen(fingerprint: str, output: Output) -> None:
    """Mark a resolved cluster as open."""
    with open_desk() as (desk, actor):
        name = actions.reopen(desk, actor, fingerprint)
    _report(output, name, "is open", state="open")


@clusters.command("merge")
@click.argument("fingerprint")
@click.argument("target")
@json_option
@mapped()
def merge(fingerprint: str, target: str, output: Output) -> None:
    """Count the errors of one cluster for TARGET as well, and list it no longer by itself."""
    with open_desk() as (desk, actor):
        name, into = actions.merge(desk, actor, fingerprint, target)
    _report(output, name, f"is merged into {into}", merged_into=into)


@clusters.command("similar")
@click.argument("fingerprint", required=False)
@click.option("--least", type=click.FloatRange(0, 1), default=LEAST, show_default=True, help="The least likeness.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Pairs to list.")
@json_option
@mapped()
def similar(fingerprint: str | None, least: float, limit: int, output: Output) -> None:
    """List pairs of open clusters that are alike, of the 500 that were seen last: they may be one error."""
    with open_desk() as (desk, actor):
        report = [_pair(each) for each in actions.similar(desk, actor, fingerprint, least, limit)]
    if output.as_json:
        output.json(report)
        return
    output.table(report, _SIMILAR_COLUMNS, empty="no open clusters are that much alike")
    if report:
        output.note("to make one of two: jobplatform clusters merge ONE OTHER")


def _pair(pair: Pair) -> dict[str, Any]:
    lines = {name: getattr(pair, name).replace("\n", " ") for name in ("one_text", "other_text")}
    return {"one": pair.one, "other": pair.other, "likeness": round(pair.likeness, 3), **lines}
