"""Who watches a platform: people with the dashboard open, and Prometheus; all of them in one process.

``python -m benchmarks.audience FILE`` reads a ``Hall`` of JSON and watches until SIGTERM; then it tells what was heard.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2 as httpx

from benchmarks.apps.scratch import scratch

#: In the scratch Redis: how many streams and targets have answered for the first time, and what was heard in the end.
PRESENT, HEARD = "present", "heard"
#: Seconds that Prometheus waits for a target unless it is told otherwise, and that a stream may be silent at most.
_SCRAPE_SECONDS, _SILENT_SECONDS = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class Hall:
    """What is watched.

    :param stream: the URL of the live updates.
    :param cookies: one of each who is signed in.
    :param targets: what Prometheus asks for, by name.
    :param token: with which it comes.
    :param every: seconds between two of its questions.
    """

    stream: str
    cookies: list[str]
    targets: dict[str, str]
    token: str
    every: float

    def write(self, path: Path) -> None:
        """Write it where an audience reads it."""
        path.write_text(json.dumps(asdict(self)))


@dataclass(frozen=True, slots=True)
class Heard:
    """What reached whom.

    :param changes: of each stream, how often it said that something had changed.
    :param scraped: how often each target answered.
    :param missed: how often each did not, or not in time, as while its process was frozen.
    """

    changes: list[int]
    scraped: dict[str, int]
    missed: dict[str, int]


async def watch(hall: Hall) -> Heard:
    """Watch until SIGTERM.

    :raises ExceptionGroup: when a stream ends or is refused.
    """
    none = dict.fromkeys(hall.targets, 0)
    found, leave = Heard([0] * len(hall.cookies), {**none}, {**none}), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave.set)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits) as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(_listen(client, hall, number, found)) for number in range(len(hall.cookies))]
        tasks += [group.create_task(_scrape(client, hall, name, found)) for name in hall.targets]
        await leave.wait()
        for task in tasks:
            task.cancel()
    return found


async def _listen(client: httpx.AsyncClient, hall: Hall, number: int, found: Heard) -> None:
    headers = {"cookie": hall.cookies[number], "accept": "text/event-stream"}
    async with client.stream("GET", hall.stream, headers=headers, timeout=_SILENT_SECONDS) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if line == "event: ready":
                scratch().incr(PRESENT)
            found.changes[number] += line == "event: changed"
    raise ConnectionError(f"stream {number} ended")


async def _scrape(client: httpx.AsyncClient, hall: Hall, name: str, found: Heard) -> None:
    headers = {"authorization": f"Bearer {hall.token}"}
    while True:
        try:
            reply = await client.get(hall.targets[name], headers=headers, timeout=_SCRAPE_SECONDS)
            reply.raise_for_status()
        except httpx.TimeoutException:
            found.missed[name] += 1
        else:
            found.scraped[name] += 1
            if found.scraped[name] == 1:
                scratch().incr(PRESENT)
        await asyncio.sleep(hall.every)


def main(file: Path) -> None:
    """Watch, and tell what was heard."""
    found = asyncio.run(watch(Hall(**json.loads(file.read_text()))))
    scratch().set(HEARD, json.dumps(asdict(found)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
