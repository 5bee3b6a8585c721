"""What a frame and an idle connection take."""
import resource
import socket

import peers
from common import CannotRun, grid, resident, say

REQUEST = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
# "a" as text, from a client and from a server
MASKED, PLAIN = b"\x81\x81\x01\x02\x03\x04\x60", b"\x81\x01a"


def memory(bench):
    upstream = bench.start([bench.peers, "echo", "bare"])
    try:
        return "\n\n".join(["### memory", of_frames(bench, upstream), of_connections(bench, upstream)])
    finally:
        upstream.stop()


def of_frames(bench, upstream):
    """How it grows; what it takes before any frame is there does not count."""
    messages = 50_000 if bench.options.quick else 500_000
    contenders = {"wsinspect serve": (lambda: bench.start_wsinspect("serve", "127.0.0.1:0"), messages)}
    if not bench.options.quick and (mitmdump := peers.mitmdump(bench)):
        contenders["mitmproxy"] = (lambda: peers.start_mitmproxy(bench, mitmdump, upstream.address), 10_000)
    rows = []
    for name, (start, messages) in contenders.items():
        say(f"memory: {name}, frames")
        server = start()
        try:
            bench.load(server, 125, 64, 1, messages=messages // 10)
            before = resident(server)
            bench.load(server, 125, 64, 1, messages=messages)
            rows.append([name, f"{2 * messages:,}", f"{(resident(server) - before) / (2 * messages):,.1f}"])
        finally:
            server.stop()
    return grid(["frames of 125 bytes, recorded", "frames", "bytes each"], rows)


def of_connections(bench, upstream):
    """How it grows by connections on each of which a message was echoed, without compression."""
    resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
    first, more = 20, 200 if bench.options.quick else 1000
    contenders = {
        "wsinspect relay": lambda: bench.start_wsinspect("relay", "127.0.0.1:0", upstream.address),
        "copy_bidirectional": lambda: bench.start([bench.peers, "relay", upstream.address]),
    }
    rows = []
    for name, start in contenders.items():
        say(f"memory: {name}, connections")
        server, sockets = start(), []
        try:
            sockets += [echoed(server) for _ in range(first)]
            before = resident(server)
            sockets += [echoed(server) for _ in range(more)]
            rows.append([name, f"{more:,}", f"{(resident(server) - before) / more / 1024:.1f}"])
        finally:
            for connection in sockets:
                connection.close()
            server.stop()
    return grid(["idle connections, relayed", "connections", "KiB each"], rows)


def echoed(server):
    """A connection on which a message has come back."""
    host, port = server.address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(REQUEST)
    stream = connection.makefile("rb")
    while stream.readline() not in (b"\r\n", b""):
        pass
    connection.sendall(MASKED)
    if stream.read(len(PLAIN)) != PLAIN:
        raise CannotRun("a connection echoes nothing")
    return connection
