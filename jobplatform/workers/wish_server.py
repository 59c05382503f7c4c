"""The wish over HTTP: for KEDA's ``metrics-api`` trigger, and as a metric for an adapter of external metrics."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jobplatform.store.database import UNREACHABLE
from jobplatform.workers.manifests import METRIC

logger = logging.getLogger(__name__)

WISH_PATH, METRICS_PATH = "/fleet/wish", "/metrics"
_JSON, _PROBLEM = "application/json", "application/problem+json"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds that a client may take to say what it wants.
_PATIENCE = 10.0


class WishServer(ThreadingHTTPServer):
    """Answer with how many workers a deployment is to have, and with nothing else.

    :param address: host and port; port 0 takes one that is free.
    :param pool: the name of the fleet.
    :param read: gives the body, as ``kubernetes_fleet.wish_body`` makes it.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], pool: str, read: Callable[[], Mapping[str, Any]]) -> None:
        self.pool = pool
        self.read = read
        super().__init__(address, _Request)

    @property
    def url(self) -> str:
        """Where the wish is read."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}{WISH_PATH}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer beside the block."""
        thread = threading.Thread(target=self.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()

    def answer(self, path: str) -> tuple[HTTPStatus, str, str]:
        """Give the status, the type and the text for a path."""
        if path not in (WISH_PATH, METRICS_PATH):
            return _problem(HTTPStatus.NOT_FOUND, f"there are {WISH_PATH} and {METRICS_PATH}")
        try:
            body = self.read()
        except UNREACHABLE as error:
            logger.warning("the wish cannot be read: %s", error)
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "PostgreSQL cannot be reached; see: jobplatform doctor")
        if path == WISH_PATH:
            return HTTPStatus.OK, _JSON, json.dumps(body)
        lines = f"# HELP {METRIC} Workers that there are to be.", f"# TYPE {METRIC} gauge"
        return HTTPStatus.OK, _METRICS, "\n".join([*lines, f'{METRIC}{{pool="{self.pool}"}} {body["workers"]}', ""])


class _Request(BaseHTTPRequestHandler):
    server: WishServer
    timeout = _PATIENCE
    server_version, sys_version = "jobplatform", ""

    def do_GET(self) -> None:
        status, kind, text = self.server.answer(self.path.partition("?")[0])
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def _problem(status: HTTPStatus, detail: str) -> tuple[HTTPStatus, str, str]:
    """Describe what went wrong (RFC 9457)."""
    return status, _PROBLEM, json.dumps({"title": status.phrase, "status": int(status), "detail": detail})
