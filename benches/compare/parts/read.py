"""Reading a recording."""
import shutil
import time

from common import run, say


def read(bench):
    """A recording with one frame a segment, opened by each."""
    say("read")
    file = bench.folder / "read.pcapng"
    server = bench.start_wsinspect("serve", "127.0.0.1:0", record=file)
    messages = 50_000 if bench.options.quick else 500_000
    try:
        frames = 2 * bench.load(server, 125, 1, 1, messages=messages)["messages"]
    finally:
        server.stop()
    readers = {"wsinspect open": [bench.wsinspect, "open", file, "--headless", "-Y", "opcode == ping"]}
    if shutil.which("tshark"):
        readers["tshark"] = ["tshark", "-r", file, "-Y", "websocket.opcode == 9"]
    seconds = {}
    for name, command in readers.items():
        began = time.monotonic()
        run(command, timeout=600)
        seconds[name] = time.monotonic() - began
    own = seconds["wsinspect open"]
    lines = ["### open: reading a recording", "", f"{frames:,} frames of 125 bytes, one a segment, all of them looked at for pings: a process from its start to its end.", "",
             "| | seconds | frames/s | wsinspect is so many times as fast |", "|---|---|---|---|"]
    lines += [f"| {name} | {s:.2f} | {frames / s:,.0f} | {s / own:.1f} |" for name, s in seconds.items()]
    return "\n".join(lines)
