"""How all stands, over HTTP."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from jobplatform.actions import health, overview
from jobplatform.web.api.reply import answer
from jobplatform.web.api.route import noun
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("overview")


@router.get("/overview")
@does("overview.show")
def show(request: Request, visit: Visiting) -> Response:
    """Show how all stands: counts, waits, pace, failures, workers, schedules and stores."""
    return answer(request, overview.show(*visit))


@router.get("/health")
@does("health.check")
def check(request: Request, visit: Visiting) -> Response:
    """Check everything that the platform stands on; whatever is away is a finding, and no error."""
    return answer(request, {"findings": health.check(*visit)})
