"""What has changed, told to all who look: one question a second for a whole process, and topics alone for an answer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from jobplatform.actions import activity
from jobplatform.errors import JobPlatformError, RequestRefused
from jobplatform.store.database import UNREACHABLE
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting, actor_of

#: Seconds between two questions, and so between two events of a topic; between two signs that the stream lives; that a
#: client may take to read.
INTERVAL, HEARTBEAT, PATIENCE = 1.0, 15.0, 30.0
#: Streams of one user, and of all: a browser needs one.
MOST_OF_ONE, MOST = 8, 500

_log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)


@dataclass(slots=True, eq=False)
class Listener:
    """Somebody who looks.

    :param topics: that they may hear of.
    :ivar news: topics that changed and were not told yet; however slow somebody reads, there are no more.
    """

    name: str
    topics: frozenset[str]
    news: set[str] = field(default_factory=set)
    rung: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, changed: frozenset[str]) -> None:
        """Note what has changed, as far as they may hear of it."""
        heard = changed & self.topics
        if heard:
            self.news |= heard
            self.rung.set()

    def take(self) -> list[str]:
        """Give what has changed since it was taken last."""
        taken = sorted(self.news)
        self.news.clear()
        self.rung.clear()
        return taken


class Live:
    """Ask what has changed for as long as somebody listens, and tell them.

    :param marks: gives a number for each topic, another one once something of it was written; called in a thread.
    :ivar based: whether it is known how things were, so that whatever changes from now on is told.
    """

    def __init__(self, marks: Callable[[], Mapping[str, int]]) -> None:
        self.marks = marks
        self.listeners: set[Listener] = set()
        self.based = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    def join(self, name: str, topics: frozenset[str]) -> Listener:
        """Let somebody listen.

        :raises RequestRefused: when there are too many, of them or of all.
        """
        if len(self.listeners) >= MOST or Counter(each.name for each in self.listeners)[name] >= MOST_OF_ONE:
            raise RequestRefused(
                "live updates: too many pages listen; close some, or reload to see more", HTTPStatus.TOO_MANY_REQUESTS
            )
        joined = Listener(name, topics)
        self.listeners.add(joined)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return joined

    def leave(self, listener: Listener) -> None:
        """Forget somebody; when nobody listens, nothing is asked."""
        self.listeners.discard(listener)
        if not self.listeners and self._asking is not None:
            self._asking.cancel()
            self._asking = None
            self.based.clear()

    async def _ask(self) -> None:
        before: Mapping[str, int] | None = None
        while True:
            marks = await self._look()
            if marks is not None:
                changed = moved(before, marks)
                before = marks
                self.based.set()
                for listener in tuple(self.listeners):
                    listener.tell(changed)
            await asyncio.sleep(INTERVAL)

    async def _look(self) -> Mapping[str, int] | None:
        try:
            return await run_in_threadpool(self.marks)
        except (JobPlatformError, *UNREACHABLE) as error:
            # Whoever looks at a page is told there; the stream lives on until PostgreSQL is back.
            _log.warning("live updates: %s", error)
            return None


def moved(before: Mapping[str, int] | None, now: Mapping[str, int]) -> frozenset[str]:
    """Name the topics whose number is another one; at first none is."""
    return frozenset(topic for topic, mark in now.items() if before is not None and before.get(topic) != mark)


class _Stream(StreamingResponse):
    """An answer that ends when who asked for it goes, or does not read."""

    def __init__(self, request: Request, live: Live, listener: Listener) -> None:
        super().__init__(_events(request, live, listener), media_type="text/event-stream")
        self.live, self.listener = live, listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(PATIENCE):
                await send(message)

        try:
            await super().__call__(scope, receive, patient)
        except (TimeoutError, ClientDisconnect):
            _log.info("live updates: a client that did not read for %s s was dropped", PATIENCE)
        finally:
            self.live.leave(self.listener)


@router.get("/live-updates")
@does()
async def follow(request: Request, visit: Visiting) -> Response:
    """Tell what changes, as server-sent events, for as long as the session lasts."""
    live: Live = request.app.state.live
    return _Stream(request, live, live.join(visit.actor.name, activity.heard_by(visit.actor)))


async def _events(request: Request, live: Live, listener: Listener) -> AsyncIterator[str]:
    with suppress(TimeoutError):
        await asyncio.wait_for(live.based.wait(), HEARTBEAT)
    # Who hears this looks once more: what changed before is not told.
    yield "retry: 2000\n\nevent: ready\ndata: {}\n\n"
    clock = asyncio.get_running_loop().time
    checked = clock()
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(listener.rung.wait(), HEARTBEAT)
        if clock() - checked >= HEARTBEAT:
            if await run_in_threadpool(actor_of, request) is None:
                return
            checked = clock()
        news = listener.take()
        yield f"event: changed\ndata: {json.dumps(news)}\n\n" if news else "event: alive\ndata: {}\n\n"
        await asyncio.sleep(INTERVAL)
