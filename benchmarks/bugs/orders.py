"""Orders: bugs of plain code, some of which look alike on purpose."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any

from . import words


class OrderError(Exception):
    """An order that cannot be worked on."""


class Order:
    """An order without a customer."""

    customer: Any = None


def charge(luck: random.Random) -> None:
    raise OrderError(f"order {luck.randrange(10**9)} of customer {words.name(luck)} is already paid")


def charge_twin(luck: random.Random) -> None:
    raise OrderError(f"order {luck.randrange(10**9)} of customer {words.name(luck)} is already paid")


def check(luck: random.Random) -> None:
    """Fail in one of two ways, by the same class and in the same function."""
    order, tenant = uuid.UUID(int=luck.getrandbits(128)), words.word(luck)
    if luck.random() < 0.5:
        raise OrderError(f"order {order} of tenant '{tenant}' has no lines")
    raise OrderError(f"order {order} of tenant '{tenant}' has lines of several currencies")


def look_up(luck: random.Random) -> None:
    prices: dict[object, int] = {"none": 1}
    keys: list[object] = [words.word(luck), luck.randrange(999), (words.word(luck), 3)]
    print(prices[luck.choice(keys)])


def greet(luck: random.Random) -> None:
    Order().customer.name.upper()


def ship(luck: random.Random) -> None:
    Order().adress = Order().address  # type: ignore[attr-defined]


def add_up(luck: random.Random) -> None:
    sum([luck.random(), "12"])  # type: ignore[list-item]


def walk(luck: random.Random) -> None:
    """Descend a tree of random depth that ends in a leaf without a value."""

    def visit(depth: int) -> None:
        if not depth:
            raise ValueError("leaf %s at depth %d has no value" % (words.word(luck), luck.randrange(99)))  # noqa: UP031
        visit(depth - 1)

    visit(luck.randrange(1, 30))


def endless(luck: random.Random) -> None:
    def again(number: int) -> int:
        return again(number + 1) + len(str(number))

    again(0)


def wait(luck: random.Random) -> None:
    async def answer() -> None:
        async with asyncio.timeout(0.0001):
            await asyncio.sleep(9)

    asyncio.run(answer())


def balance(luck: random.Random) -> None:
    total = luck.random()
    assert total < 0, f"total {total} of {words.name(luck)} is not balanced"


def several(luck: random.Random) -> None:
    ids = [luck.randrange(10**6) for _ in range(luck.randrange(1, 9))]
    raise OrderError(f"{len(ids)} {'order' if len(ids) == 1 else 'orders'} without stock: {', '.join(map(str, ids))}")


def named(luck: random.Random) -> None:
    people = [words.name(luck) for _ in range(luck.randrange(1, 6))]
    raise OrderError(
        f"nobody may approve for {people!r}: ask {words.word(luck)}@{words.word(luck)}.example "
        f"or wait {luck.random():.1f} h"
    )
