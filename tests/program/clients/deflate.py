"""Sessions of Python's websockets with permessage-deflate: deflate.py URL [default]

Each way to offer it, or only the way that is the library's default, with a message of several reads.
"""

import asyncio
import itertools
import sys

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory


def large(length=40_000):
    """More than the largest window, which is 32 KiB."""
    return bytes(i * i >> 7 & 255 for i in range(length))


async def session(url, LARGE=large(), **options):
    async with connect(url, max_size=None, proxy=None, ping_interval=None, **options) as ws:
        [agreed] = ws.protocol.extensions

        async def echoes(message, whole):
            await ws.send(message)
            got = await ws.recv()
            assert got == whole, f"{agreed}: {len(whole)} sent, {len(got)} got"

        for message in ["", "Hello", "Hello", "é" * 1000, b"", LARGE, b"\x00\xff", LARGE, "Hello"]:
            await echoes(message, message)
        await echoes(["one, ", "", "two, ", "three"], "one, two, three")
        await echoes([LARGE[:1000], LARGE[1000:]], LARGE)
        return agreed


async def main(url, default=None):
    if default:
        await session(url, large(140_000))
        return
    windows = range(9, 16)
    for (server, client), server_alone, client_alone in itertools.product(
        [*zip(windows, windows), *zip(windows, reversed(windows))], [False, True], [False, True]
    ):
        offer = ClientPerMessageDeflateFactory(server_alone, client_alone, server, client)
        agreed = await session(url, extensions=[offer], compression=None)
        got = (agreed.remote_no_context_takeover, agreed.local_no_context_takeover,
               agreed.remote_max_window_bits, agreed.local_max_window_bits)
        assert got == (server_alone, client_alone, server, client), agreed


asyncio.run(main(*sys.argv[1:]))
