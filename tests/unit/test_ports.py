"""Ports that stacks claim before their servers listen."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobplatform.devstack import ports
from jobplatform.devstack.stack import DevStack
from jobplatform.errors import DevStackError


@pytest.fixture
def claims() -> Iterator[dict[int, socket.socket]]:
    claims = ports.claim_free(2)
    yield claims
    ports.release(claims.values())


def test_a_claimed_port_is_nobody_elses_until_it_is_released(claims: dict[int, socket.socket]) -> None:
    port = min(claims)
    assert ports.is_free(port)
    assert ports.claim(port) is None
    claims[port].close()
    again = ports.claim(port)
    assert again is not None
    again.close()


def test_a_port_that_somebody_listens_on_is_not_free(claims: dict[int, socket.socket]) -> None:
    port = min(claims)
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_free(port)


def test_a_stack_whose_port_another_stack_claims_says_so_and_claims_nothing(
    claims: dict[int, socket.socket], tmp_path: Path
) -> None:
    taken, free = claims
    claims[free].close()
    (tmp_path / "stack.json").write_text(f'{{"postgres_port": {free}, "redis_port": {taken}}}')
    with pytest.raises(DevStackError, match=f"port {taken} is another stack's"):
        DevStack(tmp_path).start()
    again = ports.claim(free)
    assert again is not None
    again.close()
