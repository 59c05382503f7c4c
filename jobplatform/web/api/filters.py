"""The filters that somebody keeps, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import query, saved_filters
from jobplatform.web.api.body import Body, Name, Text
from jobplatform.web.api.reply import answer, nothing
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("jobs")

FilterName = Annotated[Name, Field(max_length=saved_filters.LONGEST)]


class NewFilter(Body):
    """A filter that is to be kept.

    :param filter: as it is typed, such as `type:mail state:failed`.
    :param columns: that the list of jobs shows with it; none for the usual ones.
    """

    name: FilterName
    filter: Annotated[Text, Field(max_length=query.LONGEST)] = ""
    columns: Annotated[list[Name], Field(max_length=saved_filters.MOST_COLUMNS)] = Field(default_factory=list)


@router.get("/filters")
@does("filters.list")
@gives(saved_filters.list_filters, "rows")
def list_filters(request: Request, visit: Visiting) -> Response:
    """List the filters that you keep, by name."""
    return answer(request, {"rows": saved_filters.list_filters(*visit)})


@router.put("/filters", status_code=204)
@does("filters.save")
def save(visit: Visiting, asked: NewFilter) -> Response:
    """Keep a filter, in place of your own of the same name."""
    saved_filters.save(*visit, asked.name, asked.filter, asked.columns)
    return nothing()


@router.delete("/filters", status_code=204)
@does("filters.remove")
def remove(visit: Visiting, name: Annotated[str, Query(min_length=1, max_length=saved_filters.LONGEST)]) -> Response:
    """Keep one of your filters no more."""
    saved_filters.remove(*visit, name)
    return nothing()
