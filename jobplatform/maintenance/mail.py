"""Telling people of an alert by mail."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from jobplatform.errors import TargetRefused
from jobplatform.maintenance.notice import Notice

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Mail:
    """Whom alerts are mailed to.

    :param server: ``smtp://user:password@host:587``, which has to offer STARTTLS unless it is of this machine, or
        ``smtps://...:465``.
    """

    server: str = field(repr=False)
    sender: str
    to: Sequence[str]
    context: ssl.SSLContext | None = field(default=None, repr=False)
    name: str = "mail"

    def __post_init__(self) -> None:
        parts = urlsplit(self.server)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise TargetRefused("JOBPLATFORM_ALERT_SMTP: it is no address of a server; give smtp://user@host:587")
        for address in (self.sender, *self.to):
            if not address.isprintable() or address.count("@") != 1:
                raise TargetRefused(f"mail: {address!r} is no address; correct JOBPLATFORM_ALERT_MAIL")

    def send(self, notice: Notice) -> None:
        """Mail a notice.

        :raises OSError: when the server does not take it; the errors of ``smtplib`` are such.
        """
        parts = urlsplit(self.server)
        host = str(parts.hostname)
        context = self.context or ssl.create_default_context()
        with self._open(parts.scheme, host, parts.port, context) as server:
            if parts.scheme == "smtp" and host not in ("localhost", "127.0.0.1", "::1"):
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(self._message(notice))

    @staticmethod
    def _open(scheme: str, host: str, port: int | None, context: ssl.SSLContext) -> smtplib.SMTP:
        if scheme == "smtps":
            return smtplib.SMTP_SSL(host, port or 465, timeout=_SECONDS, context=context)
        return smtplib.SMTP(host, port or 587, timeout=_SECONDS)

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = notice.title(), self.sender, ", ".join(self.to)
        message["Message-ID"] = f"<alert-{notice.notice_id}@{self.sender.partition('@')[2]}>"
        message.set_content(notice.text())
        return message
