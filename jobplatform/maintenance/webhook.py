"""Telling a program of an alert: one POST to an address that was looked at, signed, without following anybody."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from jobplatform.errors import TargetRefused
from jobplatform.maintenance.addresses import Resolve, pinned, resolve
from jobplatform.maintenance.notice import Notice
from jobplatform.settings import Network

#: Seconds for each step of a delivery.
_STEP_SECONDS = 5.0
#: Bytes of an answer that are read; nothing in it is used.
_ANSWER = 16_384


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alerts are posted to.

    :param hosts: those that may be named, exactly; ``networks``: those that may be reached though they are not public.
    :param secret: with which bodies are signed; empty for none.
    :param seconds: that a delivery may take.
    :raises TargetRefused: when the address may not be used.
    """

    url: str
    hosts: Sequence[str]
    networks: Sequence[Network] = ()
    secret: str = field(default="", repr=False)
    context: ssl.SSLContext | None = field(default=None, repr=False)
    ask: Resolve = field(default=resolve, repr=False)
    seconds: float = 15.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        try:
            parts.port  # noqa: B018
        except ValueError as error:
            raise TargetRefused(f"webhook of {parts.hostname}: {error}; correct JOBPLATFORM_ALERT_WEBHOOKS") from error
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password or parts.fragment:
            raise TargetRefused(f"webhook of {parts.hostname}: only https://host[:port]/path is posted to")
        if parts.hostname not in {host.lower() for host in self.hosts}:
            raise TargetRefused(f"webhook of {parts.hostname}: the host is not in JOBPLATFORM_ALERT_HOSTS; list it")

    @property
    def name(self) -> str:
        """Name the target without what is secret in its address."""
        return f"{urlsplit(self.url).hostname}#{hashlib.sha256(self.url.encode()).hexdigest()[:8]}"

    def send(self, notice: Notice) -> None:
        """Post a notice.

        :raises TargetRefused: when the address must not be reached, or the answer is no success.
        :raises OSError: when it cannot be reached in time.
        """
        parts, body = urlsplit(self.url), notice.body()
        port = parts.port or 443
        address = pinned(str(parts.hostname), port, self.networks, self.ask)
        context = self.context or ssl.create_default_context()
        connection = _Pinned(str(parts.hostname), port, address, context)
        end = threading.Timer(self.seconds, connection.cut)
        end.daemon = True
        end.start()
        try:
            connection.request("POST", _path(parts), body, self._headers(notice, body))
            answer = connection.getresponse()
            answer.read(_ANSWER)
            if connection.was_cut:
                raise TargetRefused(f"{parts.hostname}: it did not answer within {self.seconds:g} s")
            if not 200 <= answer.status < 300:
                raise TargetRefused(f"{parts.hostname}: it answered {answer.status}; only 2xx counts as told")
        except http.client.HTTPException as error:
            raise TargetRefused(f"{parts.hostname}: its answer is no HTTP: {type(error).__name__}") from error
        finally:
            end.cancel()
            connection.close()

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "jobplatform", "Connection": "close"}
        headers["Idempotency-Key"] = f"{notice.notice_id}"
        if self.secret:
            headers["X-Jobplatform-Signature"] = signature(self.secret, int(notice.at.timestamp()), body)
        return headers


def signature(secret: str, at: int, body: bytes) -> str:
    """Sign a body and the time, in seconds since the epoch, at which it is sent."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class _Pinned(http.client.HTTPSConnection):
    """A connection to one address, whose certificate is that of the host all the same."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=_STEP_SECONDS, context=context)
        self._address, self._tls = address, context
        self.was_cut = False

    def connect(self) -> None:
        line = socket.create_connection((self._address, self.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(line, server_hostname=self.host)
        except BaseException:
            line.close()
            raise

    def cut(self) -> None:
        """End a delivery that takes too long, whatever it waits for."""
        self.was_cut = True
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


def _path(parts: SplitResult) -> str:
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
