"""Messages of a queue that limits or a fair order let wait in lanes."""

from __future__ import annotations

from typing import Any

from jobplatform.transport import keys


def count(client: Any, queue: str) -> int:
    """Count them."""
    places = _places(client, queue)
    with client.pipeline(transaction=False) as pipe:
        for place in places:
            pipe.llen(place)
        return sum(pipe.execute())


def purge(client: Any, queue: str) -> int:
    """Throw them away; returns how many there were."""
    gone = count(client, queue)
    lists = [keys.queue_list(queue, priority) for priority in range(1, 6)]
    names = [name for found in lists for name in (keys.lanes(found), keys.ready(found))]
    client.delete(*_places(client, queue), *names)
    return gone


def _places(client: Any, queue: str) -> list[str]:
    lists = [keys.queue_list(queue, priority) for priority in range(1, 6)]
    return [
        keys.lane(name, bytes(lane).decode() if isinstance(lane, bytes) else lane)
        for name in lists
        for lane in client.zrange(keys.lanes(name), 0, -1)
    ]
