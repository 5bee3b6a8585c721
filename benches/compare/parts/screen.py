"""What the screen costs, and how fast it answers."""
import statistics
import subprocess
import time

from common import cpu_seconds, grid, say
from parts.memory import echoed
from server import free_port
from terminal import COLUMNS, LINES, Terminal

# (bytes, window, connections)
SETTINGS = [(125, 64, 1), (16, 64, 64), (1024, 64, 1)]
# a key, and what its view alone shows
VIEWS = [(b"6", rb"Compression|Handshake"), (b"1", "──▶|◀──".encode())]
IDLE = 5


def screen(bench):
    throughput = bench.table("serve: with the screen open and without", {
        "with the screen": lambda: start(bench),
        "headless": lambda: bench.start_wsinspect("serve", "127.0.0.1:0"),
    }, SETTINGS)
    return "\n\n".join([throughput, f"The terminal has {COLUMNS}×{LINES} cells and is read all the time.",
                        keys(bench), at_rest(bench), drawing(bench)])


def start(bench):
    address = f"127.0.0.1:{free_port()}"
    terminal = Terminal(
        [bench.wsinspect, "serve", address, "--force", "--record", bench.folder / "recording.pcapng"], address)
    terminal.until(b"quit")
    return terminal


def keys(bench):
    """From a key to the view that it leads to, while all connections send what they can."""
    say("screen: keys under load")
    terminal, count = start(bench), 20 if bench.options.quick else 50
    load = subprocess.Popen(
        [bench.peers, "load", terminal.address, "--size", "16", "--window", "64", "--connections", "64", "--seconds", "120"],
        stdout=subprocess.DEVNULL)
    try:
        terminal.until(VIEWS[1][1])
        times = []
        for n in range(count):
            # at any moment between two drawings
            time.sleep(0.1 + n % 7 / 100)
            key, pattern = VIEWS[n % 2]
            terminal.press(key)
            times.append(1e3 * terminal.until(pattern))
    finally:
        load.kill()
        load.wait()
        terminal.stop()
    return ("A key under the highest load (16 B, window 64, 64 connections), from writing it to the terminal until its view is "
            f"read there, {count} times: median {statistics.median(times):.1f} ms, at most {max(times):.1f} ms.")


def at_rest(bench):
    say("screen: at rest")
    terminal = start(bench)
    try:
        with echoed(terminal):
            time.sleep(1)
            before = cpu_seconds(terminal)
            time.sleep(IDLE)
            share = (cpu_seconds(terminal) - before) / IDLE
    finally:
        terminal.stop()
    return f"When nothing happens, one connection being open: {share:.2%} of a core, over {IDLE} s."


def drawing(bench):
    rows = [[what.removeprefix("drawing at "), figure] for figures in bench.recording.values()
            for what, figure in figures.items() if what.startswith("drawing")]
    return "Drawing, with a million frames behind it, in memory: the processor's time, the median of 1,000, and the 99th percentile:\n\n" + grid(["", "time"], rows)
