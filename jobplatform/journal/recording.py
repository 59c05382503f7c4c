"""How this worker records what becomes of its jobs, and where the news of a message goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from jobplatform.secrecy.keyring import KeyRing


class Sink(Protocol):
    """Where a worker's news goes: the ledger of our transport, or the journal itself under another broker."""

    def engage(self, tag: str) -> bool: ...
    def start(self, tag: str, entry: Callable[[], str]) -> bool: ...
    def note(self, text: str) -> None: ...
    def outcome(self, tag: str, text: str, result_key: str = "", result: str = "") -> None: ...


class Recording:
    """How this worker records: set once when the application is attached.

    :param direct: takes the news when the broker's channel has no ledger.
    """

    direct: Sink | None = None
    #: The time of the stores, in seconds since the epoch: what a job is due by must not hang on this machine's clock.
    clock: Callable[[], float] = staticmethod(time.time)
    result_limit: int = 1_048_576
    stop_seconds: float = 10.0
    #: The version of the code that the jobs are of; empty if nobody said.
    release: str = ""
    #: Verifies messages; with an empty one nobody does.
    ring: KeyRing = KeyRing()
    #: Reads and writes what is encrypted.
    sealing: KeyRing = KeyRing()
    #: The largest message that is taken from publishers that know nothing of the platform, in bytes.
    message_limit: int = 16 * 1_048_576
    #: Of which attempts what they log is kept, unless their type says: all (on), those that failed, or none (off).
    capture_logs: str = "failed"
    #: So many bytes of it; with 0 nothing is kept of any.
    log_limit: int = 0
    #: Takes secrets out of what was logged.
    mask: Callable[[str], str] = staticmethod(lambda text: text)


def sink_of(message: Any) -> Sink:
    """Find where the news of a message goes."""
    committer = getattr(message.channel, "committer", None)
    sink: Sink | None = Recording.direct if committer is None else committer.ledger
    if sink is None:
        raise RuntimeError("no journal is known for this broker; set REDIS_URL and call jobplatform.attach(app)")
    return sink
