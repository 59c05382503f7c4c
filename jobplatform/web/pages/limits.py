"""Limits: how much runs at once, how much begins in a time, and in which order queues are served."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel

from jobplatform.actions import limits
from jobplatform.errors import JobOptionError, LimitError
from jobplatform.limits import Limit, parse_rate
from jobplatform.web.limit_words import bounds, rate
from jobplatform.web.page import go, page
from jobplatform.web.question import Question, ask, is_sure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = APIRouter()

_HEAVIEST = 1_000_000.0


class Written(BaseModel):
    """What the form of a limit says."""

    name: str = ""
    slots: str = ""
    rate: str = ""
    burst: str = ""


@router.get("/limits")
@does("limits.list")
def list_limits(request: Request, visit: Visiting, find: str = "", of: str = "") -> Response:
    """List limits.

    :param find: those alone whose name has this in it.
    :param of: the name of one that is there, which fills the form.
    """
    return _shown(request, visit, find, of)


def _shown(
    request: Request, visit: Visit, find: str = "", of: str = "", written: Written | None = None, error: str = ""
) -> Response:
    found = limits.list_limits(*visit)
    known = next((row for row in found.limits if row["name"] == of), None)
    if written is None:
        given = {} if known is None else {**known, "rate": rate(known["rate"])}
        texts = {name: given[name] for name in Written.model_fields if given.get(name) is not None}
        written = Written(**{name: f"{value:g}" if name == "burst" else str(value) for name, value in texts.items()})
    return page(
        request,
        "limits.html",
        status=422 if error else 200,
        rows=[row for row in found.limits if find.lower() in row["name"].lower()],
        queues=found.queues,
        find=find,
        written=written,
        error=error,
        bounds=bounds,
    )


@router.post("/limits")
@does("limits.list", "limits.set")
def set_limit(request: Request, visit: Visiting, written: Annotated[Written, Form()]) -> Response:
    """Set a limit, or say what is wrong with it."""
    try:
        slots, burst = _number(written.slots, "at once"), _number(written.burst, "burst")
        if slots is not None and (slots != int(slots) or slots > 2**31 - 1):
            raise JobOptionError(f"at once: {written.slots[:20]!r} is no whole number; give one, such as 5")
        begin = parse_rate(written.rate) if written.rate.strip() else None
        limit = Limit(written.name.strip(), None if slots is None else int(slots), begin, burst)
    except (LimitError, JobOptionError) as error:
        return _shown(request, visit, written=written, error=str(error))
    limits.set_limit(*visit, limit)
    said = bounds({"slots": limit.slots, "rate": limit.rate, "burst": limit.burst})
    return go(request, "/limits", f"{limit.name} is limited: {said}. It counts within a second.")


@router.post("/limits/remove")
@does("limits.remove")
def remove(
    request: Request,
    visit: Visiting,
    name: Annotated[str, Form(max_length=255)],
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Remove a limit."""
    if not is_sure(sure, ""):
        words = "What it holds back goes on. One that code declares is back when that code starts."
        question = Question(
            f"Remove the limit {name}?", words, "/limits/remove", "Remove", [("name", name)], 1, "/limits", True
        )
        return ask(request, question)
    removed = limits.remove_limits(*visit, [name])
    return go(request, "/limits", f"{name} is not limited any more." if removed else f"{name} was not limited.")


@router.post("/limits/order")
@does("limits.order")
def set_order(
    request: Request,
    visit: Visiting,
    queue: Annotated[str, Form(max_length=100)],
    fair: Annotated[bool, Form()] = False,
    age: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Say in which order a queue is served."""
    if not queue.strip():
        raise JobOptionError("queue: there is none; name the queue")
    limits.set_order(*visit, queue.strip(), fair, _number(age, "age"))
    how = "by tenants and their weights" if fair else "first come, first served"
    return go(request, "/limits", f"{queue.strip()} is served {how}.")


@router.post("/limits/weight")
@does("limits.weight")
def set_weight(
    request: Request,
    visit: Visiting,
    queue: Annotated[str, Form(max_length=100)],
    tenant: Annotated[str, Form(max_length=100)],
    weight: Annotated[str, Form(max_length=20)],
) -> Response:
    """Say how much of a queue in fair order a tenant gets."""
    value = _number(weight, "weight")
    if not queue.strip() or not tenant.strip() or value is None or value > _HEAVIEST:
        raise JobOptionError(f"weight: give a queue, a tenant, and a number above 0 and up to {_HEAVIEST:,.0f}")
    limits.set_weight(*visit, queue.strip(), tenant.strip(), value)
    return go(request, "/limits", f"{tenant.strip()} weighs {value:g} in {queue.strip()}.")


def _number(text: str, name: str) -> float | None:
    """Read a number above 0, None where there is nothing.

    :raises JobOptionError: when it is no such number.
    """
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e9:
        raise JobOptionError(f"{name}: {text[:20]!r} is no number that can be used; give one above 0")
    return value
