"""The pages of the dashboard: one module a page, each route one or more actions."""

from __future__ import annotations

from fastapi import APIRouter

from jobplatform.web.pages import overview

router = APIRouter(include_in_schema=False)
for part in (overview,):
    router.include_router(part.router)
