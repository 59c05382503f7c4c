"""People are told once of what is wrong, again while it lasts, and when it is over; over real TLS and SMTP."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from command_line import CliEnvironment
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from jobplatform.cli.exits import Exit
from jobplatform.controller.upkeep import Upkeep
from jobplatform.maintenance.alerter import Alerter, tell
from jobplatform.maintenance.conditions import Missed, Sight, Thresholds
from jobplatform.maintenance.lookout import Lookout
from jobplatform.maintenance.mail import Mail
from jobplatform.maintenance.notice import Notice
from jobplatform.maintenance.webhook import Webhook, signature
from jobplatform.settings import Settings
from jobplatform.store import audit
from jobplatform.store.database import Database
from jobplatform.transport.publisher import UNREACHABLE

NOW = datetime.now(UTC)
HERE = [ip_network("127.0.0.0/8")]
#: An answer that does not end.
DRIPS = 0
NIGHTLY = Sight(missed=[Missed("nightly", 301)])


class Hook(ThreadingHTTPServer):
    """An HTTPS server that keeps what it got, and answers as it is told."""

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), HookRequest)
        self.got: list[tuple[dict[str, Any], str | None]] = []
        self.answer = 204
        self.ended = threading.Event()
        self.context = certified(directory, self)

    @property
    def url(self) -> str:
        return f"https://hooks.example:{self.server_address[1]}/in?key=SECRET"


class HookRequest(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = self.headers.get("X-Jobplatform-Signature")
        at = int(datetime.fromisoformat(json.loads(body)["at"]).timestamp())
        assert signed == signature("key", at, body) and self.headers["Host"].startswith("hooks.example")
        self.server.got.append((json.loads(body), signed))
        if self.server.answer == DRIPS:
            self.drip()
            return
        self.send_response(self.server.answer)
        if self.server.answer == 302:
            self.send_header("Location", "https://127.0.0.1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def drip(self) -> None:
        """Answer without an end, a little at a time, for as long as somebody listens."""
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.ended.wait(0.02):
                self.wfile.write(b"X-More: 1\r\n")

    def log_message(self, format: str, *args: Any) -> None: ...


def certified(directory: Path, server: Hook) -> ssl.SSLContext:
    """Give a server a certificate for hooks.example, and return what believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=9))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = directory / "server.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form) + certificate)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(file)
    server.socket = own.wrap_socket(server.socket, server_side=True)
    return ssl.create_default_context(cadata=certificate.decode())


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Hook]:
    made = Hook(tmp_path)
    with served(made):
        yield made


def webhook(hook: Hook, address: str = "127.0.0.1", url: str = "") -> Webhook:
    return Webhook(url or hook.url, ["hooks.example"], HERE, "key", hook.context, lambda host, port: [address])


def events(hook: Hook) -> list[tuple[str, str]]:
    return [(body["event"], body["subject"]) for body, _ in hook.got]


def test_people_are_told_once_and_again_and_when_it_is_over(database: Database, hook: Hook) -> None:
    seen = NIGHTLY

    def at(minutes: float) -> list[tuple[str, str]]:
        """Run a round of an alerter that was just started: it neither repeats nor forgets."""
        made = Alerter(database, lambda now: seen, Thresholds(), [webhook(hook)], repeat=3_600)
        hook.got.clear()
        made.run_once(NOW + timedelta(minutes=minutes))
        return events(hook)

    assert at(0) == [("opened", "nightly")]
    assert at(1) == at(59) == []
    assert at(61) == [("repeated", "nightly")]
    seen = Sight()
    assert at(61.5) == []
    assert at(62.5) == [("resolved", "nightly")]
    assert at(63) == []
    seen = NIGHTLY
    assert at(64) == [("opened", "nightly")]


def test_what_cannot_be_delivered_is_tried_again_in_order(database: Database, hook: Hook) -> None:
    seen = NIGHTLY
    alerter = Alerter(database, lambda now: seen, Thresholds(), [webhook(hook)], repeat=3_600)
    hook.answer = 503
    alerter.run_once(NOW)
    alerter.run_once(NOW + timedelta(seconds=1))
    assert events(hook) == [("opened", "nightly")]
    seen = Sight()
    alerter.run_once(NOW + timedelta(seconds=70))
    assert events(hook) == [("opened", "nightly")] * 2
    # An answer that leads elsewhere is no success either, and is not followed.
    hook.answer = 302
    alerter.run_once(NOW + timedelta(seconds=200))
    hook.answer = 204
    hook.got.clear()
    alerter.run_once(NOW + timedelta(seconds=400))
    assert events(hook) == [("opened", "nightly"), ("resolved", "nightly")]
    assert len({body["id"] for body, _ in hook.got}) == 2


def test_the_host_is_pinned_and_has_to_prove_who_it_is(hook: Hook) -> None:
    notice = Notice(1, "test", "test", "", "", NOW, NOW)
    assert tell(webhook(hook), notice) is None
    asked = iter([["127.0.0.1"], ["169.254.169.254"]])
    target = Webhook(hook.url, ["hooks.example"], HERE, "key", hook.context, lambda host, port: next(asked))
    assert tell(target, notice) is None
    assert "169.254.169.254 is not public" in str(tell(target, notice))
    other = Webhook(
        hook.url.replace("hooks", "other"), ["other.example"], HERE, "key", hook.context, lambda *_: ["127.0.0.1"]
    )
    assert "certificate" in str(tell(other, notice)).lower()
    with closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert "refused" in str(tell(webhook(hook, url=f"https://hooks.example:{port}/"), notice)).lower()
    assert len(hook.got) == 2


def test_an_answer_that_does_not_end_is_cut(hook: Hook) -> None:
    hook.answer = DRIPS
    target = replace(webhook(hook), seconds=0.3)
    assert tell(target, Notice(1, "test", "test", "", "", NOW, NOW)) is not None
    hook.ended.set()
    assert len(hook.got) == 1


class Letterbox(socketserver.ThreadingTCPServer):
    """A server that speaks as much SMTP as it takes to get a mail."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), LetterboxRequest)
        self.mails: list[str] = []
        self.said: list[str] = []


class LetterboxRequest(socketserver.StreamRequestHandler):
    server: Letterbox

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline().decode().strip():
            self.server.said.append(line)
            if line.upper() == "DATA":
                self.wfile.write(b"354 go on\r\n")
                parts = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                self.server.mails.append("".join(parts))
            self.wfile.write(b"221 bye\r\n" if line.upper() == "QUIT" else b"250 fine\r\n")


def test_a_mail_is_sent(hook: Hook) -> None:
    box = Letterbox()
    with served(box):
        target = Mail(f"smtp://127.0.0.1:{box.server_address[1]}", "jobs@example.com", ["ann@example.com", "b@c.d"])
        assert tell(target, Notice(3, "opened", "no worker", "", "2 jobs wait", NOW, NOW)) is None
    (mail,) = box.mails
    assert "Subject: [jobplatform] opened: no worker" in mail and "2 jobs wait" in mail
    assert [line for line in box.said if line.upper().startswith("RCPT")] == [
        "rcpt TO:<ann@example.com>",
        "rcpt TO:<b@c.d>",
    ]
    assert tell(target, Notice(3, "opened", "no worker", "", "", NOW, NOW)) is not None


def test_what_is_muted_is_listed_and_told_of_when_it_is_not_any_more(
    cli_environment: CliEnvironment, hook: Hook
) -> None:
    database = cli_environment.database
    assert cli_environment.run("alerts", "mute", "late schedules").exit_code == Exit.USAGE
    assert cli_environment.run("alerts", "mute", "schedule missed", "nightly", "--reason", "known").exit_code == 0
    alerter = Alerter(database, lambda now: NIGHTLY, Thresholds(), [webhook(hook)], repeat=3_600)
    alerter.run_once(NOW)
    assert events(hook) == []
    found = cli_environment.json("alerts", "list")
    (listed,) = found["alerts"]
    assert (listed["condition"], listed["muted"], listed["sent"]) == ("schedule missed", True, 0)
    assert [mute["reason"] for mute in found["mutes"]] == ["known"]
    assert "nobody is told" in cli_environment.run("alerts", "list").stderr
    assert cli_environment.run("alerts", "unmute", "schedule missed", "nightly").exit_code == 0
    assert cli_environment.run("alerts", "unmute", "schedule missed", "nightly").exit_code == Exit.CONFLICT
    alerter.run_once(NOW + timedelta(seconds=1))
    assert events(hook) == [("opened", "nightly")]
    with database.session() as session:
        assert {row["action"] for row in audit.listed(session, 10)} == {"alerts.mute", "alerts.unmute"}
    webhooks = {"JOBPLATFORM_ALERT_WEBHOOKS": hook.url, "JOBPLATFORM_ALERT_HOSTS": "hooks.example"}
    failed = cli_environment.run("alerts", "test", **webhooks)
    assert failed.exit_code == Exit.FAILED and "hooks.example" in failed.output and "SECRET" not in failed.output
    refused = cli_environment.run("alerts", "test", JOBPLATFORM_ALERT_WEBHOOKS=hook.url)
    assert refused.exit_code == Exit.USAGE and "JOBPLATFORM_ALERT_HOSTS" in refused.output


def test_the_tables_and_redis_are_looked_at(settings: Settings, cli_environment: CliEnvironment, client: Any) -> None:
    database = cli_environment.database
    for _ in range(3):
        cli_environment.fail()
    statements = (
        "insert into @workers (worker_id, name, status, last_seen_at)"
        " values ('a', 'w1', 'stale', now() - interval '2 minutes')",
        "insert into @queue_samples (queue, sampled_at, seconds, depth, oldest_seconds, arrived, started, finished,"
        " running) values ('imports', now(), 30, 4, 400, 0, 0, 0, 0)",
        "insert into @job_schedules (name, job_type, cron_expression, next_run) values"
        " ('nightly', 'a', '0 0 * * *', now() - interval '1 hour')",
        "insert into @breakers (cause, state, reason, opened_at) values ('api', 'open', 'all fail', now())",
    )
    with database.transaction() as transaction:
        for text in statements:
            transaction.connection.exec_driver_sql(text.replace("@", f'"{database.schema}".'))
    now, limits = datetime.now(UTC) + timedelta(seconds=1), Thresholds(letters=3)
    upkeep = Upkeep(database, client, settings)
    assert {service.name for service in upkeep.services()} == {"retention", "alerter"}
    seen = Lookout(database, client, settings, limits, UNREACHABLE).look(now)
    assert (seen.letters, seen.alive, seen.wanted, seen.redis, seen.broken) == (3, 0, None, None, None)
    assert [(each.queue, each.depth, each.seconds) for each in seen.waiting] == [("imports", 4, 400)]
    assert [each.name for each in seen.lost] == ["w1"] and [each.name for each in seen.missed] == ["nightly"]
    assert [each.cause for each in seen.breakers] == ["api"]
    upkeep.alerter.run_once(now)
    listed = cli_environment.json("alerts", "list")["alerts"]
    assert {row["condition"] for row in listed} == {
        "long wait", "worker lost", "no worker", "schedule missed", "breaker open"
    }  # fmt: skip


@pytest.mark.owner
def test_a_row_of_the_audit_log_that_was_changed_is_found(database: Database) -> None:
    with database.transaction() as transaction:
        for _ in range(6):
            audit.add(transaction, audit.Deed("ann", "terminal", "jobs.cancel"))
        assert audit.broken_lately(transaction, 3) is None and audit.broken_lately(transaction, 100) is None
        table = f'"{database.schema}".audit_log'
        transaction.connection.exec_driver_sql(f"alter table {table} disable trigger user")
        transaction.connection.exec_driver_sql(f"update {table} set actor = 'bob' where audit_id = 5")
        assert audit.broken_lately(transaction, 3) == audit.broken_lately(transaction, 100) == 5
