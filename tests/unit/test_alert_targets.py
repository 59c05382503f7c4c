"""Where alerts may be sent, and where never."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from jobplatform.errors import TargetRefused
from jobplatform.maintenance.addresses import is_public, pinned
from jobplatform.maintenance.alerter import backoff
from jobplatform.maintenance.mail import Mail
from jobplatform.maintenance.notice import Notice
from jobplatform.maintenance.outcry import Outcry
from jobplatform.maintenance.webhook import Webhook, signature

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTICE = Notice(7, "opened", "long wait", "a\r\nBcc: x@y", "the oldest has waited", NOW, NOW)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.0.1", "169.254.169.254", "100.100.100.200", "192.0.0.192",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:1::1",
    ],
)  # fmt: skip
def test_addresses_within_are_not_public(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(TargetRefused, match="not public"):
        pinned("hooks.example", 443, [], lambda host, port: ["93.184.216.34", address])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_addresses_of_all_are(address: str) -> None:
    assert pinned("hooks.example", 443, [], lambda host, port: [address]) == address


def test_a_network_that_is_listed_may_be_reached_and_no_other() -> None:
    allowed = [ip_network("10.1.2.0/24")]
    assert pinned("a", 1, allowed, lambda host, port: ["10.1.2.9"]) == "10.1.2.9"
    with pytest.raises(TargetRefused, match="JOBPLATFORM_ALERT_NETWORKS"):
        pinned("a", 1, allowed, lambda host, port: ["10.1.3.9"])


def test_a_host_without_an_address_is_refused() -> None:
    def nobody(host: str, port: int) -> Iterable[str]:
        raise OSError("no such name")

    def unnameable(host: str, port: int) -> Iterable[str]:
        raise UnicodeError("label too long")

    for ask in (nobody, unnameable, lambda host, port: []):
        with pytest.raises(TargetRefused, match="no address"):
            pinned("a", 1, [], ask)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x", "https://evil.example/x", "https://hooks.example.evil/x", "https://xhooks.example/",
        "https://hooks.example@evil.example/", "https://u:p@hooks.example/", "https://hooks.example#@evil", "ftp://a",
        "https:///x", "https://hooks.example:99999/", "https://hooks.example%2eevil/",
    ],
)  # fmt: skip
def test_only_https_to_a_host_that_is_listed_is_posted_to(url: str) -> None:
    with pytest.raises(TargetRefused):
        Webhook(url, ["hooks.example"])


def test_a_target_is_named_without_its_secrets() -> None:
    hook = Webhook("https://Hooks.Example/services/T0/SECRET?key=SECRET", ["hooks.example"], secret="SECRET")
    assert hook.name.startswith("hooks.example#") and "SECRET" not in hook.name + repr(hook.name)
    assert "SECRET" not in repr(Mail("smtp://u:SECRET@mail.example:587", "a@b", ["c@d"]))


def test_the_signature_is_of_time_and_body() -> None:
    expected = hmac.new(b"key", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature("key", 1_700_000_000, b'{"a":1}') == f"t=1700000000,v1={expected}"


def test_a_notice_cannot_add_lines_to_a_mail() -> None:
    assert NOTICE.title() == "[jobplatform] opened: long wait (a  Bcc: x@y)"
    body = json.loads(NOTICE.body())
    assert (body["id"], body["event"], body["closed_at"]) == (7, "opened", None)
    with pytest.raises(TargetRefused, match="no address"):
        Mail("smtp://mail.example", "a@b\r\nBcc: x", ["c@d"])
    with pytest.raises(TargetRefused, match="JOBPLATFORM_ALERT_SMTP"):
        Mail("mail.example", "a@b", ["c@d"])


def test_waits_between_tries_grow_to_an_hour() -> None:
    waits = [backoff(tries) for tries in range(30)]
    assert waits[:3] == [timedelta(seconds=15), timedelta(seconds=30), timedelta(seconds=60)]
    assert waits[-1] == timedelta(hours=1) and sum(waits, timedelta()) > timedelta(hours=20)


def test_a_postgresql_that_is_away_is_told_of_once_and_when_it_is_back() -> None:
    told: list[tuple[str, str]] = []

    class Ear:
        name = "ear"

        def send(self, notice: Notice) -> None:
            told.append((notice.event, notice.message))

    away = True

    def ask() -> None:
        if away:
            raise ConnectionError("refused\nat line 1")

    outcry = Outcry(ask, [Ear()], repeat=3_600)
    for seconds in range(0, 600, 15):
        outcry.run_once(NOW + timedelta(seconds=seconds))
    assert told == [("opened", "PostgreSQL cannot be used: refused")]
    outcry.run_once(NOW + timedelta(seconds=3_700))
    away = False
    for seconds in (3_715, 3_730):
        outcry.run_once(NOW + timedelta(seconds=seconds))
    assert [event for event, _ in told] == ["opened", "repeated", "resolved"]
