"""Feeds: bad input, files, nested causes."""

from __future__ import annotations

import errno
import json
import random
from pathlib import Path

from . import words


class FeedError(Exception):
    """A feed that cannot be read."""


def parse(luck: random.Random) -> None:
    json.loads(luck.choice(["", "{", "[1,", '{"a" 1}', f"<html>{words.word(luck)}", '{"a": 1} x', "\x00", '"abc']))


def convert(luck: random.Random) -> None:
    float(luck.choice(["", f"{words.word(luck)}", f"12,{luck.randrange(99)}", "n/a", f"{words.name(luck)}'s"]))


def decode(luck: random.Random) -> None:
    bytes([65] * luck.randrange(9) + [luck.choice([0x80, 0xC3, 0xFF, 0xE2])]).decode()


def unpack(luck: random.Random) -> None:
    one, _two = [words.word(luck)] * luck.choice([1, 3, 4])
    print(one)


def missing_file(luck: random.Random) -> None:
    Path(f"/srv/{words.word(luck)}/{words.word(luck)}-{luck.randrange(99)}.csv").read_text()


def full_disk(luck: random.Random) -> None:
    raise OSError(
        errno.ENOSPC, "No space left on device", f"/mnt/share/{words.word(luck)}/{luck.randrange(10**6)}.part"
    )


def wrapped_number(luck: random.Random) -> None:
    """Wrap a cause; its twin wraps another one in the same words."""
    row = luck.randrange(10**5)
    try:
        int(words.word(luck))
    except ValueError as error:
        raise FeedError(f"row {row} of {words.word(luck)}.csv cannot be imported") from error


def wrapped(luck: random.Random, cause: type[Exception], message: str) -> None:
    try:
        raise cause(message)
    except cause as error:
        raise FeedError(f"row {luck.randrange(10**5)} of {words.word(luck)}.csv cannot be imported") from error


def wrapped_price(luck: random.Random) -> None:
    wrapped(luck, ArithmeticError, f"price {luck.randrange(999)} is below cost")


def wrapped_date(luck: random.Random) -> None:
    wrapped(luck, LookupError, f"no rate for 20{luck.randrange(10, 99)}-01-{luck.randrange(10, 28)}")


def in_handler(luck: random.Random) -> None:
    known = {"a": 1}
    try:
        known[words.word(luck)]
    except KeyError:
        print(None + luck.randrange(9))  # type: ignore[operator]


def rejected(luck: random.Random) -> None:
    body = {"code": "bad_signature", "id": luck.randrange(999), "by": {"name": words.name(luck), "at": luck.random()}}
    raise FeedError(f"partner said no: {json.dumps(body)}")


def expired(luck: random.Random) -> None:
    body = {"code": "key_expired", "id": luck.randrange(999), "items": list(range(luck.randrange(5)))}
    raise FeedError(f"partner said no: {json.dumps(body)}")


def long_story(luck: random.Random) -> None:
    text = " ".join(words.word(luck) for _ in range(luck.randrange(50, 2_000)))
    raise FeedError(f"unknown format, it begins with {text!r}")
