"""An HTTP server that fails as it is told to: shaky answers come later, broken ones never, and in an outage none."""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FlakyServer(ThreadingHTTPServer):
    """Answer ``/shaky/ID`` with 503 until its third call at most, ``/broken/ID`` with 500 for ever, others at once.

    With ``flipped`` it is the other way round: what was shaky fails for ever. While ``is_down``, all get 503.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.flipped = self.is_down = False
        self.calls: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://localhost:{self.server_address[1]}"

    def answer(self, path: str) -> int:
        """Choose the status of the next answer."""
        with self.lock:
            self.calls[path] += 1
            called = self.calls[path]
        if self.is_down:
            return 503
        if path.startswith("/steady"):
            return 200
        kind, failure = ("broken", 500) if path.startswith("/broken") else ("shaky", 503)
        lasts = kind == ("shaky" if self.flipped else "broken")
        fails_for = 1 + (zlib.crc32(path.encode()) % 10 == 0)
        return failure if lasts or called <= fails_for else 200


class _Handler(BaseHTTPRequestHandler):
    server: FlakyServer

    def do_GET(self) -> None:
        """Answer a call."""
        self.send_response(self.server.answer(self.path))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of it."""


@contextmanager
def flaky_server() -> Iterator[FlakyServer]:
    """Run a server for the time of a block."""
    with FlakyServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
