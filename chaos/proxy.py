"""A TCP proxy whose links can be cut, stalled and healed: ``python -m chaos.proxy NAME=PORT ...``.

It listens on a free port for each link and forwards to the named port of the loopback. It prints one JSON object, the
ports it listens on by link, and then obeys lines of its standard input: ``cut NAME`` resets all connections and refuses
new ones, ``stall NAME`` lets nothing pass but keeps everything open, ``heal NAME`` ends both.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from contextlib import suppress

_CHUNK = 65_536
#: Close at once and forget what is not sent yet: the peer gets a reset.
_RESET = struct.pack("ii", 1, 0)


class Link:
    """One party's way to one store.

    :param port: of the store.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.refuses = False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side closes it."""
        if self.refuses:
            _reset(writer)
            return
        # A stalled network completes no handshake with the store, though ours with the client is done.
        await self.flowing.wait()
        try:
            behind, ahead = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            _reset(writer)
            return
        self._open |= {writer, ahead}
        try:
            await asyncio.gather(self._pump(reader, ahead), self._pump(behind, writer))
        finally:
            self._open -= {writer, ahead}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(_CHUNK):
                await self.flowing.wait()
                writer.write(chunk)
                await writer.drain()
            await self.flowing.wait()
            writer.close()
        except OSError:
            _reset(writer)

    def obey(self, order: str) -> None:
        """Cut, stall or heal."""
        self.refuses = order == "cut"
        if order == "stall":
            self.flowing.clear()
        else:
            self.flowing.set()
        if self.refuses:
            for writer in self._open:
                _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def main(arguments: list[str]) -> None:
    """Serve until the standard input ends."""
    links = {name: Link(int(port)) for name, _, port in (argument.partition("=") for argument in arguments)}
    ports = {}
    for name, link in links.items():
        server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
        ports[name] = server.sockets[0].getsockname()[1]
        await server.start_serving()
    print(json.dumps(ports), flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order, name = line.decode().split()
        links[name].obey(order)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
