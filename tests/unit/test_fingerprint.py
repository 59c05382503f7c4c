"""Fingerprints stay the same over what varies, and tell apart what differs."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.fingerprint.frames import Owner, owner, place
from jobplatform.fingerprint.identity import identify
from jobplatform.fingerprint.similarity import alike, cosine, embed
from jobplatform.fingerprint.skeleton import skeleton
from jobplatform.fingerprint.template import fill_blank
from jobplatform.journal.failure import describe
from jobplatform.journal.recorder import JobRequest
from jobplatform.journal.recording import Recording

HEAD = "Traceback (most recent call last):\n"


def frame(path: str, function: str, source: str = "work()", line: int = 1) -> str:
    return f'  File "{path}", line {line}, in {function}\n    {source}\n    ^^^^^^\n'


def failure(message: str = "no", *frames: str, kind: str = "shop.errors.OrderError", **values: Any) -> dict[str, Any]:
    text = f"{HEAD}{''.join(frames or [frame('/srv/shop/orders.py', 'charge')])}{kind}: {message}\n"
    return {"type": kind, "message": message, "classes": [kind.rpartition(".")[2]], "traceback": text, **values}


def digest(*arguments: Any, **values: Any) -> str:
    return identify(failure(*arguments, **values)).digest


def described(function: Callable[[], object]) -> dict[str, Any]:
    try:
        function()
    except Exception as error:  # noqa: BLE001 - any failure is what is wanted
        return describe(error, "".join(traceback.format_exception(error)), 0.0)
    raise AssertionError("it did not fail")


ADDRESSES = st.one_of(st.ip_addresses().map(str), st.ip_addresses(v=4).map(lambda ip: f"{ip}:8080"))
TIMES = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1))  # noqa: DTZ001 - the strategy adds the zone
PATHS = st.lists(st.from_regex(r"[a-z][a-z0-9_-]{1,9}", fullmatch=True), min_size=1, max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)
VARIABLE = {
    "id": st.integers(0, 10**18).map(str),
    "negative": st.integers(-(10**9), -1).map(str),
    "float": st.floats(allow_nan=True, allow_infinity=False).map(str),
    "uuid": st.uuids().map(str),
    "hex": st.binary(min_size=8, max_size=32).map(bytes.hex),
    "address": ADDRESSES,
    "pointer": st.integers(2**20, 2**47).map(hex),
    "e-mail": st.from_regex(r"[a-z][a-z0-9.]{0,9}[a-z]@[a-z]{2,9}\.(?:com|org)", fullmatch=True),
    "size": st.tuples(st.integers(0, 999), st.sampled_from(["ms", " s", " MB", " KiB", "%", " seconds", " bytes"])).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    ),
    "time": TIMES.map(lambda at: at.replace(tzinfo=UTC).isoformat()),
    "date": TIMES.map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    "clock": TIMES.map(lambda at: at.strftime("%H:%M:%S")),
    "quoted": st.text(st.characters(codec="utf-8", categories=("L", "N", "Zs"))).map(lambda text: f"'{text}'"),
    "path": PATHS,
    "file": st.from_regex(r"[a-z][a-z0-9_-]{0,12}\.(?:csv|json|tar\.gz)", fullmatch=True),
    "ids": st.lists(st.integers(0, 10**9), min_size=1, max_size=20).map(lambda ids: ", ".join(map(str, ids))),
    "names": st.lists(st.sampled_from(["ann", "bob", "eve"]), min_size=1, max_size=9).map(str),
    "json": st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers())).map(str),
}


@pytest.mark.parametrize("what", VARIABLE)
@given(data=st.data())
def test_a_fingerprint_is_stable_over(what: str, data: st.DataObject) -> None:
    one, other = data.draw(VARIABLE[what]), data.draw(VARIABLE[what])
    for message in ("cannot work on {} today", "{} is bad", "bad: {}", "bad ({})", "bad, see {}"):
        assert skeleton("ValueError", message.format(one)) == skeleton("ValueError", message.format(other))


@given(st.integers(1, 9_999), st.from_regex(r"/[a-z]{2,9}/[0-9a-f]{12}", fullmatch=True), st.integers(1, 60))
def test_a_fingerprint_is_stable_over_lines_places_and_depth(line: int, root: str, depth: int) -> None:
    again = [frame(f"{root}/shop/orders.py", "visit", line=line)] * depth
    frames = [frame(f"{root}/shop/orders.py", "charge", line=line), *again]
    assert digest("no", *frames) == digest("no", frame("/shop/orders.py", "charge"), frame("/shop/orders.py", "visit"))


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("KeyError", "'abc'", "('x', 3)"),
        ("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)", "Extra data: line 1 column 5"),
        ("ValueError", "1 validation error for Order\nprice", "3 validation errors for Order\nprice"),
        ("ValueError", "user bob is over quota", "user alice is over quota"),
        ("ValueError", "no such tenant: acme", "no such tenant: umbrella"),
        ("ValueError", "customer Alice Smith has no card", "customer Bob has no card"),
        ("Exception", "('Task failed', 'ab', 3)", "('Task failed', 'cd', 'ef')"),
        ("RuntimeError", "bad body {'a': {'b': 1}}", "bad body {'c': [1, 2], 'd': {'e': {}}}"),
        ("RuntimeError", "<shop.Order object at 0x7f1> is lost", "<shop.Order object at 0x8a9> is lost"),
        ("RuntimeError", "GET https://api.local:80/v1/a?b=1 failed", "GET https://api.local/x failed"),
        ("psycopg2.Error", 'key exists\nDETAIL:  Key (a)=(b) is.\n', 'key exists\nDETAIL:  Key (a)=(c d) is.\n'),
        ("RuntimeError", f"unknown format: '{'lorem ' * 300}'", f"unknown format: '{'ipsum ' * 2000}'"),
    ],
)  # fmt: skip
def test_one_bug_is_not_split(kind: str, one: str, other: str) -> None:
    assert digest(one, kind=kind) == digest(other, kind=kind)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("AttributeError", "'NoneType' object has no attribute 'id'", "'NoneType' object has no attribute 'name'"),
        ("TypeError", "pay() got an unexpected keyword argument 'a'", "pay() got an unexpected keyword argument 'b'"),
        ("ModuleNotFoundError", "No module named 'yaml'", "No module named 'toml'"),
        ("psycopg2.errors.UndefinedTable", 'relation "orders" does not exist', 'relation "prices" does not exist'),
        ("psycopg2.errors.UndefinedColumn", "column o.total does not exist", "column o.price does not exist"),
        ("ValueError", "missing field 'price'", "missing field 'name'"),
        ("ValueError", "customer email is missing", "customer phone is missing"),
        ("RuntimeError", "unexpected status 502", "unexpected status 429"),
        ("RuntimeError", "GET https://api.local/x failed", "GET https://pay.local/x failed"),
        ("OSError", "[Errno 28] No space left on device", "[Errno 5] Input/output error"),
        ("RuntimeError", "partner said {'code': 'expired'}", "partner said {'code': 'bad_signature'}"),
        ("shop.OrderError", "order 1 has no lines", "order 1 has no customer"),
    ],
)
def test_two_bugs_in_one_function_are_told_apart(kind: str, one: str, other: str) -> None:
    assert digest(one, kind=kind) != digest(other, kind=kind)


def test_the_same_words_from_two_functions_are_two_bugs() -> None:
    assert digest("no", frame("/srv/shop/orders.py", "charge")) != digest("no", frame("/srv/shop/orders.py", "ship"))
    assert digest("no", frame("/srv/shop/tasks.py", "run")) != digest("no", frame("/srv/mail/tasks.py", "run"))


def test_only_own_frames_count_where_there_are_any() -> None:
    own = frame("/srv/shop/orders.py", "charge")
    others = [
        frame("/usr/lib/python3.11/json/decoder.py", "decode"),
        frame("/srv/.venv/lib/python3.11/site-packages/requests/api.py", "get"),
        frame("/src/celery/app/trace.py", "trace_task"),
        frame("/src/jobplatform/journal/tracer.py", "trace_job"),
        frame("<frozen importlib._bootstrap>", "_find_and_load"),
    ]
    assert digest("no", *others[2:], own, *others[:2]) == digest("no", own)
    assert digest("no", others[1]) != digest("no", frame(others[1].split('"')[1], "post"))
    assert owner("/srv/jobplatform/shop/orders.py") is Owner.USER
    assert place("/srv/releases/2024.1/orders.py", "run") == "#.#/orders:run"
    assert place("/tmp/tmpab12_x9z/orders.py", "run") == "#/orders:run"


def test_causes_tell_apart_what_was_wrapped_in_the_same_words() -> None:
    def wrap(cause: Exception) -> Callable[[], None]:
        def run() -> None:
            try:
                raise cause
            except Exception as error:
                raise RuntimeError("row 5 cannot be read") from error

        return run

    parsed, parsed_again = (described(wrap(ValueError(f"bad price {number}"))) for number in (1, 2))
    away = described(wrap(ConnectionError("HTTPConnectionPool(host='api.local', port=80): Read timed out.")))
    assert identify(parsed).digest == identify(parsed_again).digest != identify(away).digest
    assert (identify(parsed).dependency, identify(away).dependency) == (None, "host:api.local")


def test_the_line_that_raised_tells_which_words_are_filled_in() -> None:
    for source in (
        'raise ValueError(f"cannot greet {name} again")',
        'raise ValueError("cannot greet %s again" % name)',
        'raise ValueError("cannot greet {} again".format(name)) from error',
        'raise ValueError("cannot greet " + name + " again")',
        'assert name, f"cannot greet {name} again"',
    ):
        assert fill_blank(source, "cannot greet bob again") == "cannot greet 0 again"
        assert fill_blank(source, "something else") == "something else"
    assert fill_blank('raise E(f"it failed: {error}")', "it failed: no route") == "it failed: no route"
    assert fill_blank('raise E(f"no column {name}")', "no column price") == "no column price"
    assert fill_blank('raise E(f"user {name!r} is bad")', "user 'bob' is bad") == "user 'bob' is bad"
    assert fill_blank('raise E(f"{one}: {two}")', "a: b") == "a: b"
    assert fill_blank("raise E(", "a: b") == "a: b"


def test_bare_assertions_are_told_apart_by_what_they_assert() -> None:
    one, other = (frame("/srv/shop/orders.py", "charge", f"assert {what}") for what in ("total > 0", "lines"))
    assert digest("", one, kind="AssertionError") != digest("", other, kind="AssertionError")


def test_a_full_stack_has_one_fingerprint_wherever_it_was_full() -> None:
    def descend(number: int) -> int:
        return descend(number + 1) + sum([number])

    def deeper() -> int:
        return (lambda: descend(0))()

    assert len({identify(described(lambda: descend(0))).text.split("\n")[0]}) == 1
    first, second = identify(described(deeper)), identify(described(deeper))
    assert first.digest == second.digest


def test_what_no_code_raised_is_told_apart_by_its_job_type() -> None:
    death = {"type": "WorkerLostError", "message": "process 5 was killed by signal 9", "died": True}
    assert identify(death, "shop.a").digest != identify(death, "shop.b").digest
    assert identify({**death, "message": "process 6 was killed by signal 9"}, "shop.a") == identify(death, "shop.a")
    assert identify(failure(), "shop.a") == identify(failure(), "shop.b")


@pytest.mark.parametrize(
    ("kind", "message", "values", "dependency"),
    [
        ("HTTPError", "bad gateway", {"host": "API.local", "status": 502}, "host:api.local"),
        ("HTTPError", "not found", {"host": "api.local", "status": 404}, None),
        ("HTTPError", "slow down", {"host": "api.local", "status": 429}, "host:api.local"),
        ("requests.exceptions.HTTPError", "503 Server Error: for url: https://a@api.local:8/v1", {}, "host:api.local"),
        ("ConnectionError", "HTTPSConnectionPool(host='api.local', port=443): Read timed out.", {}, "host:api.local"),
        ("ConnectionRefusedError", "[Errno 111] Connection refused: db.local:5432", {}, "host:db.local"),
        ("redis.exceptions.ConnectionError", "Error 111 connecting to r1:6379. Connection refused.", {}, "host:r1"),
        ("OSError", "Failed to resolve 'api.local' ([Errno -2] Name or service not known)", {}, "host:api.local"),
        ("ConnectionRefusedError", "[Errno 111] Connect call failed ('10.0.0.3', 80)", {}, "host:10.0.0.3"),
        ("psycopg2.OperationalError", 'connection to server at "db1" (10.0.0.1), port 5432 failed', {}, "database:db1"),
        ("psycopg2.OperationalError", 'could not translate host name "db1" to address: no', {}, "database:db1"),
        ("psycopg2.OperationalError", 'FATAL:  database "shop" does not exist', {}, "database:shop"),
        ("sqlalchemy.exc.OperationalError", "(psycopg2.OperationalError) server closed the connection", {},
         "database:postgresql"),
        ("pymysql.err.OperationalError", "(2003, \"Can't connect to MySQL server on 'db3' (timed out)\")", {},
         "database:db3"),
        ("psycopg2.errors.UndefinedTable", 'relation "orders" does not exist', {}, None),
        ("sqlite3.OperationalError", "no such table: orders", {}, None),
        ("OSError", "[Errno 28] No space left on device: '/mnt/share/a/b.csv'", {}, "file:/mnt/share"),
        ("OSError", "no", {"errno": 5, "path": "/data/x.csv"}, "file:/data"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '/mnt/x/y'", {}, None),
        ("ValueError", "bad link http://api.local/x in row 5", {}, None),
        ("ValueError", "order 12:34 is bad", {}, None),
        ("KeyError", "'api.local:80'", {}, None),
    ],
)  # fmt: skip
def test_dependencies(kind: str, message: str, values: dict[str, Any], dependency: str | None) -> None:
    assert identify(failure(message, kind=kind, **values)).dependency == dependency


class Asked:
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class RemoteError(Exception):
    def __init__(self, **values: Any) -> None:
        super().__init__("no")
        self.__dict__.update(values)

    @property
    def request(self) -> Any:
        raise RuntimeError("there is none")


def test_describe_tells_what_attributes_point_at_and_never_raises() -> None:
    for values in (
        {"url": "https://me@API.local:8443/v1?x=1"},
        {"host": "api.local"},
        {"hostname": "api.local:80"},
        {"response": Asked(url="http://api.local")},
        {"request_info": Asked(url=Asked(host="api.local"))},
    ):
        assert describe(RemoteError(**values), None, 0.0)["host"] == "api.local"
    for name, value in (("url", "/v1/x"), ("url", 5), ("host", b"x"), ("host", "not a host"), ("url", "")):
        assert "host" not in describe(RemoteError(**{name: value}), None, 0.0)
    told = describe(OSError(28, "No space left on device", "/mnt/share/x"), None, 0.0)
    assert (told["errno"], told["path"]) == (28, "/mnt/share/x")
    assert "path" not in describe(OSError(28, "No space left on device", 5), None, 0.0)


@given(st.text(), st.text(), st.text())
def test_nothing_makes_it_raise(kind: str, message: str, text: str) -> None:
    for error in ({"type": kind, "message": message, "traceback": f"{HEAD}{text}"}, {}, {"traceback": message}):
        assert len(identify(error).digest) == 16


def test_an_entry_names_the_release_of_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    request = SimpleNamespace(
        task=None,
        head=lambda: '"j":"x"',
        started_at=None,
        _log=lambda: None,
        _tell=lambda text, failed: told.append(text),
    )
    for release in ("", "v7"):
        monkeypatch.setattr(Recording, "release", release)
        JobRequest.record_failure(request, failure())  # type: ignore[arg-type]
    assert [json.loads(text)["e"].get("release") for text in told] == [None, "v7"]


def test_likeness() -> None:
    texts = {"a": "card of customer refused", "b": "cards of customers refused", "c": "no space left on device"}
    vectors = {name: embed(text) for name, text in texts.items()}
    assert cosine(vectors["a"], vectors["a"]) == pytest.approx(1)
    assert [pair[:2] for pair in alike(vectors, None, 0.5, 9)] == [("a", "b")]
    assert {pair[:2] for pair in alike(vectors, "c", -1.0, 9)} == {("a", "c"), ("b", "c")}
    assert embed("") == embed("...") == [0.0] * 256
