"""Clusters of errors over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import clusters
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Name, Text
from jobplatform.web.api.reply import answer, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("dead letters")

Part = Annotated[str, Path(min_length=1, max_length=200)]
Asked = Annotated[str | None, Query(max_length=200)]


class Assigning(Body):
    """Who looks after a cluster; null is nobody."""

    who: Name | None


class Noting(Body):
    """What is noted."""

    text: Annotated[Text, Field(min_length=1)]


class Muting(Body):
    """Whether a cluster is left out of the list."""

    muted: bool


class Ending(Body):
    """What was done about a cluster."""

    text: Text | None = None


class Merging(Body):
    """The cluster for which another is counted as well."""

    into: Name


@router.get("/clusters")
@does("clusters.list")
@gives_page(clusters.list_clusters)
def list_clusters(
    request: Request,
    visit: Visiting,
    state: Literal["open", "resolved", "muted"] | None = None,
    job_type: Asked = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List clusters of errors, those seen last first."""
    found = clusters.list_clusters(*visit, state, job_type, limit, cursor.read_place(after))
    return page(request, found.rows, found.next)


@router.get("/clusters/similar")
@does("clusters.similar")
@gives(clusters.similar, "rows")
def similar(
    request: Request,
    visit: Visiting,
    cluster: Asked = None,
    least: Annotated[float, Query(ge=0, le=1)] = 0.8,
    limit: Limit = 20,
) -> Response:
    """List pairs of open clusters that are alike: they may be one error."""
    return answer(request, {"rows": clusters.similar(*visit, cluster, least, limit)})


@router.get("/clusters/{cluster}")
@does("clusters.show")
@gives(clusters.show_cluster)
def show_cluster(request: Request, visit: Visiting, cluster: Part) -> Response:
    """Show a cluster: a sample with its traceback, where and when it came, open dead letters, and notes."""
    return answer(request, clusters.show_cluster(*visit, cluster))


@router.get("/clusters/{cluster}/family")
@does("clusters.family")
@gives(clusters.family, "fingerprints")
def family(request: Request, visit: Visiting, cluster: Part) -> Response:
    """Name all fingerprints of a cluster: its own, and those that were merged into it."""
    return answer(request, {"fingerprints": clusters.family(*visit, cluster)})


@router.post("/clusters/{cluster}/assign")
@does("clusters.assign")
@gives(clusters.assign, "cluster")
def assign(request: Request, visit: Visiting, cluster: Part, asked: Assigning) -> Response:
    """Say who looks after a cluster."""
    return answer(request, {"cluster": clusters.assign(*visit, cluster, asked.who)})


@router.post("/clusters/{cluster}/note")
@does("clusters.note")
@gives(clusters.note, "cluster")
def note(request: Request, visit: Visiting, cluster: Part, asked: Noting) -> Response:
    """Note something on a cluster."""
    return answer(request, {"cluster": clusters.note(*visit, cluster, asked.text)})


@router.post("/clusters/{cluster}/mute")
@does("clusters.mute")
@gives(clusters.mute, "cluster")
def mute(request: Request, visit: Visiting, cluster: Part, asked: Muting) -> Response:
    """Leave a cluster out of the list, or show it again."""
    return answer(request, {"cluster": clusters.mute(*visit, cluster, asked.muted)})


@router.post("/clusters/{cluster}/resolve")
@does("clusters.resolve")
@gives(clusters.resolve, "cluster")
def resolve_cluster(request: Request, visit: Visiting, cluster: Part, asked: Ending) -> Response:
    """Mark a cluster as resolved; it opens by itself if its error comes again."""
    return answer(request, {"cluster": clusters.resolve(*visit, cluster, asked.text)})


@router.post("/clusters/{cluster}/reopen")
@does("clusters.reopen")
@gives(clusters.reopen, "cluster")
def reopen(request: Request, visit: Visiting, cluster: Part) -> Response:
    """Mark a resolved cluster as open."""
    return answer(request, {"cluster": clusters.reopen(*visit, cluster)})


@router.post("/clusters/{cluster}/merge")
@does("clusters.merge")
@gives(cluster=str, into=str)
def merge(request: Request, visit: Visiting, cluster: Part, asked: Merging) -> Response:
    """Count the errors of one cluster for another as well."""
    name, into = clusters.merge(*visit, cluster, asked.into)
    return answer(request, {"cluster": name, "into": into})
