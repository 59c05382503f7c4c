"""The HTTP API: one module a noun, each route an action."""

from __future__ import annotations

from fastapi import APIRouter

from jobplatform.web.api import jobs

router = APIRouter()
for part in (jobs,):
    router.include_router(part.router)
