"""An echo server of Python's websockets, which compresses every message: prints its port"""

import asyncio

from websockets.asyncio.server import serve


async def echo(ws):
    assert ws.protocol.extensions, "no compression was agreed on"
    async for message in ws:
        await ws.send(message)


async def main():
    async with serve(echo, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
