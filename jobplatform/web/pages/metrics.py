"""What went through queues over time, drawn, with the numbers beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from jobplatform.actions import history
from jobplatform.actions.history import RANGES, Step
from jobplatform.web import chart
from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

#: Of a step: what is drawn, its title, and in what it is counted.
_DRAWN = (
    ("arrived", "Jobs that came", "a second"),
    ("finished", "Jobs that ended", "a second"),
    ("waiting", "Jobs that waited", "on average"),
    ("running", "Jobs that ran", "on average"),
    ("oldest", "The longest wait", "in seconds"),
)


@router.get("/history")
@does("history.queues")
def metrics(request: Request, visit: Visiting, back: str = "1h", queue: str = "") -> Response:
    """Show the last hours or days."""
    steps = history.of_queues(*visit, back, queue or None)
    return page(
        request,
        "metrics.html",
        back=back,
        ranges=list(RANGES),
        queue=queue,
        steps=steps,
        charts=[_chart(steps, *each) for each in _DRAWN],
        known=any(step.arrived is not None for step in steps),
    )


def _chart(steps: Sequence[Step], name: str, title: str, unit: str) -> dict[str, Any]:
    values = [getattr(step, name) for step in steps]
    last = next((value for value in reversed(values) if value is not None), None)
    drawn = chart.draw([step.at for step in steps], values)
    return {"name": name, "title": title, "unit": unit, "drawn": drawn, "last": last, "values": values}
