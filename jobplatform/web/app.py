"""The web application: what is served, and what every request passes."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from jobplatform import __version__
from jobplatform.actions import activity
from jobplatform.actions.desk import Desk
from jobplatform.web import api, documents, entrance, live, pages, probes
from jobplatform.web.guard import Guard
from jobplatform.web.page import STATIC
from jobplatform.web.problem import answer_problems
from jobplatform.web.rule import served


def make_app(desk: Desk) -> FastAPI:
    """Make the application.

    :raises LookupError: when a route has no rule.
    """
    app = FastAPI(title="jobplatform", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    app.state.live = live.Live(partial(activity.marks, desk))
    app.include_router(entrance.router)
    app.include_router(api.router, prefix="/api/v1")
    app.include_router(documents.router)
    app.include_router(live.router)
    app.include_router(probes.router)
    app.include_router(pages.router)
    app.mount("/static", _Files(directory=STATIC), name="static")
    app.add_middleware(Guard, hosts=desk.settings.web_hosts, payload_limit=desk.settings.payload_limit)
    answer_problems(app)
    # To list them is to check them.
    served(app)
    return app


class _Files(StaticFiles):
    """Files that browsers may keep for ever, since their addresses change with them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Give a file."""
        reply = await super().get_response(path, scope)
        if scope.get("query_string"):
            reply.headers["cache-control"] = "public, max-age=31536000, immutable"
        return reply
