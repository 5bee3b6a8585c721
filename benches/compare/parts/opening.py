"""Reading a recording."""
import shutil
import statistics
import struct

import peers
from common import CannotRun, grid, say, spread, timed
from terminal import Terminal

SIZE, CONNECTIONS = 125, 64
# of IP and TCP; those of a SYN
ENHANCED_PACKET, HEADERS, SYN = 6, 40, 48
# arrows, as they stand in the list of frames
A_FRAME = "──▶|◀──".encode()


def opening(bench):
    """A million frames, one a segment, and the tenth of it."""
    files = {}
    for messages in [5_000, 50_000] if bench.options.quick else [50_000, 500_000]:
        say(f"open: recording {messages:,} messages")
        files[messages] = bench.folder / f"{messages}.pcapng"
        record(bench, files[messages], messages)
    return "\n\n".join([readers(bench, files[messages]), first_screens(bench, files), filters(bench)])


def record(bench, file, messages):
    """With a window of one each read holds one frame; many connections make that fast."""
    server = bench.start_wsinspect("serve", "127.0.0.1:0", record=file)
    try:
        bench.load(server, SIZE, 1, CONNECTIONS, messages=messages)
    finally:
        server.stop()


def readers(bench, file):
    frames = frames_of(file)
    commands = {"wsinspect open": ([bench.wsinspect, "open", file, "--headless", "-Y", "opcode == ping"], frames)}
    if shutil.which("tshark"):
        commands["tshark"] = (["tshark", "-r", file, "-Y", "websocket.opcode == 9"], frames)
    if not bench.options.quick and (mitmdump := peers.mitmdump(bench)):
        commands["mitmproxy"] = mitmproxy(bench, mitmdump)
    rates, memory = {name: [] for name in commands}, {}
    for round in range(min(bench.options.rounds, 3)):
        for name, (command, count) in commands.items():
            say(f"open: round {round + 1}, {name}")
            seconds, memory[name] = timed(command)
            rates[name].append(count / seconds)
    own = rates["wsinspect open"]
    rows = []
    for name, (_, count) in commands.items():
        ratio = "" if rates[name] is own else spread([a / b for a, b in zip(own, rates[name])])
        rows.append([name, f"{count:,}", f"{statistics.median(rates[name]):,.0f}", ratio, f"{memory[name]:,.0f}"])
    return "\n".join([
        "### open: reading a recording", "",
        f"{frames:,} frames of {SIZE} bytes on {CONNECTIONS} connections, one a segment, all of them looked at for pings: a "
        "process from its start to its end. mitmproxy reads what it wrote itself of such traffic.", "",
        grid(["", "frames", "frames/s", "wsinspect is so many times as fast", "memory, MiB"], rows)])


def frames_of(file):
    """How many frames are in it, each of which has to be a packet of its own."""
    frames, others = 0, 0
    with file.open("rb") as blocks:
        while start := blocks.read(28):
            kind, length, _, _, _, captured, _ = struct.unpack("<7I", start)
            blocks.seek(length - 28, 1)
            if kind == ENHANCED_PACKET and captured > SYN:
                # the client's have a masking key
                if captured - HEADERS in (2 + SIZE, 2 + 4 + SIZE):
                    frames += 1
                else:
                    others += 1
    if others != 2 * CONNECTIONS:
        raise CannotRun(f"the recording has {others} packets that hold no frame or more than one, and {2 * CONNECTIONS} of "
                        "handshakes were expected")
    return frames


def mitmproxy(bench, mitmdump):
    """How it reads what it recorded, and how many frames those are."""
    messages, file = 10_000, bench.folder / "mitmproxy.flows"
    upstream = bench.start([bench.peers, "echo", "bare"])
    try:
        server = peers.start_mitmproxy(bench, mitmdump, upstream.address, "-w", file)
        try:
            bench.load(server, SIZE, 64, 1, messages=messages)
        finally:
            server.stop()
    finally:
        upstream.stop()
    return [mitmdump, "-n", "-q", "-r", file], 2 * messages


def first_screens(bench, files):
    rows = []
    for file in files.values():
        times = []
        for _ in range(5 if bench.options.quick else 20):
            screen = Terminal([bench.wsinspect, "open", file])
            try:
                times.append(1e3 * screen.until(A_FRAME))
            finally:
                screen.stop()
        rows.append([f"{frames_of(file):,} frames, {file.stat().st_size / 1e6:,.0f} MB",
                     f"{statistics.median(times):.1f}", f"{max(times):.1f}"])
    return ("From the start until a frame is on the screen, 200×50, the file in the page cache:\n\n"
            + grid(["file", "median ms", "most"], rows))


def filters(bench):
    parts = ["Filters, in a process that has the frames; the least time of five:"]
    for recording, figures in bench.recording.items():
        rows = [[f"`{what}`", figure] for what, figure in figures.items()
                if figure.endswith(" ms") and not what.startswith("drawing")]
        parts += [f"{recording}:", grid(["filter", "time"], rows)]
    return "\n\n".join(parts)
