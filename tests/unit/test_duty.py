"""What a worker makes of being told what to do."""

from __future__ import annotations

import pytest

from jobplatform.transport.duty import Duty, Order

WORK, CORDON, DRAIN = Order(), Order(Duty.CORDON), Order(Duty.DRAIN, 30.0)


@pytest.mark.parametrize("order", [WORK, CORDON, DRAIN, Order(Duty.DRAIN), Order(Duty.DRAIN, 0.5)])
def test_an_order_survives_redis(order: Order) -> None:
    assert WORK.follow(order.text()) == order


@pytest.mark.parametrize("order", [WORK, CORDON, DRAIN])
@pytest.mark.parametrize("said", ["", "dance"])
def test_a_redis_that_does_not_know_changes_nothing(order: Order, said: str) -> None:
    assert order.follow(said) == order


def test_a_cordon_can_be_taken_back_and_a_drain_cannot() -> None:
    assert CORDON.follow("work") == WORK
    assert CORDON.follow("drain 30") == DRAIN
    for said in ("work", "cordon", "drain 5"):
        assert DRAIN.follow(said) == DRAIN
