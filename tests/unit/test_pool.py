"""What pool processes say arrives whole, however the pipe cuts it up."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.asynchronous import Hub

from jobplatform.jobs.pool import ResultHandler, split

MESSAGES = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9_000)), min_size=1, max_size=6)
CUTS = st.lists(st.integers(1, 20_000), max_size=8)


def framed(message: Any) -> bytes:
    body = pickle.dumps(message)
    return struct.pack(">I", len(body)) + body


class Pipe(NamedTuple):
    """A pipe from a pool process, and the event loop that watches it."""

    hub: Hub
    reader: int
    writer: int

    def turn(self) -> bool:
        """Call what the loop would call; returns whether there was anything to read."""
        if not self.hub.poller.poll(0):
            return False
        callback, args = self.hub.readers[self.reader]
        if isinstance(callback, Iterator):
            next(callback, None)
        else:
            callback(*args)
        return True


@contextmanager
def pipe_to(hear: Callable[[Any], None]) -> Iterator[Pipe]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    hub = Hub()
    unused = [None] * 9
    handler = ResultHandler(*unused, fileno_to_outq={reader: "a process"}, on_process_alive=None)
    handler.on_state_change = hear
    handler.register_with_event_loop(hub)
    hub.add_reader(reader, handler.handle_event, reader)
    try:
        yield Pipe(hub, reader, writer)
    finally:
        hub.close()
        os.close(reader)
        os.close(writer)


@given(messages=MESSAGES, cuts=CUTS)
def test_messages_arrive_in_order_however_they_are_cut(messages: list[Any], cuts: list[int]) -> None:
    stream, heard = b"".join(map(framed, messages)), list[Any]()
    with pipe_to(heard.append) as pipe:
        at = 0
        for size in [*cuts, len(stream)]:
            os.write(pipe.writer, stream[at : at + size])
            at += size
            while pipe.turn():
                pass
        assert heard == messages
        assert pipe.hub.readers[pipe.reader][1] == (pipe.reader,)


def test_nothing_behind_a_message_that_was_begun_is_read_with_it() -> None:
    """Celery's pool goes on with the generator at shutdown and then reads the pipe itself."""
    first, second, third = framed("first"), framed("second"), framed("third")
    heard: list[Any] = []
    with pipe_to(heard.append) as pipe:
        os.write(pipe.writer, first + second[:7])
        pipe.turn()
        assert heard == ["first"]
        begun, _ = pipe.hub.readers[pipe.reader]
        os.write(pipe.writer, second[7:] + third)
        assert next(begun, "ended") == "ended"
        assert heard == ["first", "second"]
        assert os.read(pipe.reader, 65_536) == third


def test_a_pipe_that_ended_is_not_watched_any_longer() -> None:
    with pipe_to(lambda _: None) as pipe:
        os.dup2(os.open(os.devnull, os.O_WRONLY), pipe.writer)
        pipe.turn()
        assert pipe.reader not in pipe.hub.readers


def test_the_rest_is_heard_even_if_hearing_one_raises() -> None:
    heard: list[Any] = []

    def hear(message: Any) -> None:
        heard.append(message)
        if message == "bad":
            raise SystemExit

    with pipe_to(hear) as pipe:
        os.write(pipe.writer, framed("bad") + framed("good"))
        with pytest.raises(SystemExit):
            pipe.turn()
        assert heard == ["bad", "good"]


def test_split_keeps_what_is_not_whole() -> None:
    first, second = framed("a"), framed("b")
    assert split(first + second) == (["a", "b"], b"")
    assert split(first + second[:-1]) == (["a"], second[:-1])
    assert split(first[:2]) == ([], first[:2])
