"""A session of Python's websockets: client.py URL [PROXY]"""

import asyncio
import sys

from websockets.asyncio.client import connect


async def main(url, proxy=None):
    async with connect(url, max_size=None, proxy=proxy, ping_interval=None, subprotocols=["chat"]) as ws:
        assert ws.subprotocol == "chat", ws.subprotocol

        async def echoes(message):
            await ws.send(message)
            got = await ws.recv()
            assert got == message, f"{len(message)} sent, {len(got)} got"

        for length in [0, 125, 126, 65535, 65536]:
            await echoes("é" * (length // 2) + "a" * (length % 2))
            await echoes(bytes(i % 251 for i in range(length)))
        await echoes(bytes(i % 251 for i in range(16 << 20)))
        await (await ws.ping(b"are you there?"))
        await ws.send(["one, ", "two, ", "three"])
        assert await ws.recv() == "one, two, three"
        await ws.close(4001, "done, thank you")


asyncio.run(main(*sys.argv[1:]))
