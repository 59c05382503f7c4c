"""What Prometheus and whoever keeps the process alive ask for."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from jobplatform.actions import telling
from jobplatform.web.rule import does, open_to_all
from jobplatform.web.visit import Visiting, desk_of

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
@does("metrics.read")
def metrics(visit: Visiting) -> Response:
    """Give all metrics of the stores."""
    told = telling.metrics(*visit)
    return Response(told.body, media_type=told.content_type)


@router.get("/live")
@open_to_all
def live() -> Response:
    """Say that requests are answered."""
    return PlainTextResponse("live\n")


@router.get("/ready")
@open_to_all
def ready(request: Request) -> Response:
    """Say whether the stores answer."""
    missing = telling.unready(desk_of(request))
    return PlainTextResponse("\n".join(missing or ["ready"]) + "\n", 503 if missing else 200)
