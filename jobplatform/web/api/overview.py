"""How all stands, over HTTP."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from jobplatform.actions import health, history, overview
from jobplatform.web.api.reply import answer
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("overview")


@router.get("/overview")
@does("overview.show")
@gives(overview.show)
def show(request: Request, visit: Visiting) -> Response:
    """Show how all stands: counts, waits, pace, failures, workers, schedules and stores."""
    return answer(request, overview.show(*visit))


@router.get("/history")
@does("history.queues")
@gives(history.of_queues, "steps")
def show_history(request: Request, visit: Visiting, back: str = "1h", queue: str | None = None) -> Response:
    """Tell what went through queues, in equal steps: jobs a second, what waited, and for how long.

    The range is one of 1h, 6h, 24h and 7d.
    """
    return answer(request, {"steps": [step._asdict() for step in history.of_queues(*visit, back, queue)]})


@router.get("/history/depths")
@does("history.depths")
@gives(history.of_depths)
def show_depths(request: Request, visit: Visiting, back: str = "1h") -> Response:
    """Tell how many jobs waited in each queue, in equal steps; the range is one of 1h, 6h, 24h and 7d."""
    return answer(request, history.of_depths(*visit, back))


@router.get("/health")
@does("health.check")
@gives(health.check, "findings")
def check(request: Request, visit: Visiting) -> Response:
    """Check everything that the platform stands on; whatever is away is a finding, and no error."""
    return answer(request, {"findings": health.check(*visit)})
