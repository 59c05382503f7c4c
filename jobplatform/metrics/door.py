"""A small HTTP server beside a process that has other work: for Prometheus and for probes, and nothing else."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jobplatform.errors import SettingsError
from jobplatform.metrics.health import Answer, Probes, answer
from jobplatform.metrics.reading import CONTENT_TYPE, Reading, Spread, text_of

logger = logging.getLogger(__name__)

#: Seconds that a client may take to say what it wants, and to take the answer.
_PATIENCE = 3.0
#: So many clients are answered at once: one that waits for a store keeps no probe waiting.
_MOST = 8
_TEXT = "text/plain; charset=utf-8"


class Bind:
    """Where to listen: a host, that of this machine alone unless said, and a port or a range of them.

    Several processes of one machine share a range: each takes the first port of it that is free.

    :raises SettingsError: when the text says something else.
    """

    def __init__(self, text: str) -> None:
        host, _, ports = text.rpartition(":")
        first, _, last = ports.partition("-")
        try:
            self.ports = range(int(first), int(last or first) + 1)
        except ValueError:
            self.ports = range(0)
        if not self.ports or self.ports[0] < 0 or self.ports[-1] > 65_535:
            raise SettingsError(
                f"JOBPLATFORM_METRICS_BIND: {text!r} is no address; give a port, host:port or host:first-last"
            )
        self.host = host.strip("[]") or "127.0.0.1"


class Door(ThreadingHTTPServer):
    """Tell what this process measured, and whether it does its work."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], read: Callable[[], list[Reading | Spread]], probes: Probes) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.routes: Mapping[str, Callable[[], Answer]] = {
            "/metrics": lambda: Answer(HTTPStatus.OK, CONTENT_TYPE, text_of(read())),
            "/live": lambda: answer(probes.live()),
            "/ready": lambda: answer(probes.ready()),
        }
        self._room = threading.BoundedSemaphore(_MOST)
        super().__init__(address, _Request)
        # A forked child would keep the port after this process has ended.
        os.register_at_fork(after_in_child=self.socket.close)
        self._thread = threading.Thread(target=self.serve_forever, name="door", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def server_bind(self) -> None:
        """Take the port, and ask no name server what this machine is called."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, or not at all where too many wait already."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note a client that broke off."""
        logger.debug("a client of the metrics broke off", exc_info=True)

    def answer(self, path: str) -> Answer:
        """Give the answer for a path."""
        route = self.routes.get(path)
        if route is None:
            return Answer(HTTPStatus.NOT_FOUND, _TEXT, f"there are {', '.join(self.routes)}\n".encode())
        try:
            return route()
        except Exception as error:  # noqa: BLE001 - whatever the stores do, a probe gets an answer
            logger.warning("%s cannot be answered: %s", path, error)
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"it cannot be read; the log tells why\n")

    def close(self) -> None:
        """Answer nobody any more."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Request(BaseHTTPRequestHandler):
    server: Door
    timeout = _PATIENCE
    server_version, sys_version = "jobplatform", ""

    def do_GET(self) -> None:
        found = self.server.answer(self.path.partition("?")[0])
        self.send_response(found.status)
        self.send_header("Content-Type", found.content_type)
        self.send_header("Content-Length", str(len(found.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(found.body)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def open_door(bind: str, read: Callable[[], list[Reading | Spread]], probes: Probes) -> Door | None:
    """Serve metrics and health if the settings say where; None where they do not, or where no port is free.

    :raises SettingsError: when they say it wrong.
    """
    if not bind:
        return None
    place = Bind(bind)
    problem: OSError | None = None
    for port in place.ports:
        try:
            door = Door((place.host, port), read, probes)
        except OSError as error:
            problem = error
            continue
        logger.info("metrics and health are at %s", door.url)
        return door
    # Work is worth more than being measured.
    logger.error("metrics and health are told nowhere: JOBPLATFORM_METRICS_BIND: %s: %s", bind, problem)
    return None
