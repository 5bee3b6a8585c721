"""What the parts measure with: programs of this project, loads, and rounds of them."""
import json
import os
import shutil
import statistics
import subprocess
import time
from functools import cached_property
from pathlib import Path

from common import CACHE, ROOT, TARGET, CannotRun, run, say, spread
from machine import busy, own_ticks
from server import Server, free_port

# (bytes, window, connections)
SETTINGS = [(16, 1, 1), (16, 64, 1), (16, 64, 64), (125, 64, 1), (125, 64, 64), (1024, 64, 1), (1024, 64, 64),
            (65536, 64, 1)]
# no run moves more than this, for each of its recordings lies on the disk
MOST_BYTES = 1 << 30
TICK = os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.left_out = []
        CACHE.mkdir(parents=True, exist_ok=True)

    # the programs, built by the first part that needs them: decoding needs neither

    @cached_property
    def wsinspect(self):
        say("building wsinspect")
        run(["cargo", "build", "--release", "--locked"], ROOT)
        # a copy: `cargo bench` puts another in its place, with what tests need
        return Path(shutil.copy(TARGET / "release/wsinspect", self.folder))

    @cached_property
    def peers(self):
        say("building the peers and the load")
        # not locked: its lock file follows what wsinspect itself needs
        run(["cargo", "build", "--release"], ROOT / "benches/peers", CARGO_TARGET_DIR=TARGET)
        return TARGET / "release/peers"

    def start(self, command):
        return Server([str(word) for word in command])

    def start_on_port(self, command_for):
        port = free_port()
        return Server([str(word) for word in command_for(port)], f"127.0.0.1:{port}")

    def start_wsinspect(self, *words, record=None):
        # what is printed is no part of what is measured: a filter that nothing but a close frame passes
        return self.start([self.wsinspect, *words, "--headless", "-Y", "opcode == close", "--force",
                           "--record", record or self.folder / "recording.pcapng"])

    # measuring

    def table(self, title, contenders, settings=SETTINGS, more=()):
        runs = {(name, setting): [] for name in contenders for setting in settings}
        for round in range(self.options.rounds):
            for setting in settings:
                say(f"{title}: round {round + 1} of {self.options.rounds}, {describe(setting)}")
                for name, start in contenders.items():
                    try:
                        runs[name, setting].append(self.measure(start, setting, more))
                    except CannotRun as why:
                        say(f"  {name}: {why}")
                        runs[name, setting].append(None)
        lines = [f"### {title}", "",
                 "Medians; in brackets the least and the most. A ratio is that of one round: wsinspect's figure to the "
                 "peer's. More messages and less time are better; where they disagree, the processor's time decides."]
        own, *peers = contenders
        for setting in settings:
            lines += ["", f"{describe(setting)}:", "",
                      "| | messages/s | p50 µs | p99 µs | p99.9 µs | CPU s a million | messages, ratio | CPU, ratio |",
                      "|---" * 8 + "|"]
            for name in contenders:
                mine, its = runs[own, setting], runs[name, setting]
                got = [run for run in its if run]
                if not got:
                    lines.append(f"| {name} | no run | | | | | | |")
                    continue
                middle = lambda key: statistics.median(run[key] for run in got)
                ratio = lambda key: "" if name == own else spread(
                    [a[key] / b[key] for a, b in zip(mine, its) if a and b and b[key]])
                lines.append(f"| {name} | {middle('messages_per_s'):,.0f} | {middle('p50_us'):,.0f} | {middle('p99_us'):,.0f} | "
                             f"{middle('p999_us'):,.0f} | {middle('cpu_s_per_million'):.3f} | {ratio('messages_per_s')} | "
                             f"{ratio('cpu_s_per_million')} |")
            noisy = sum(1 for name in contenders for run in runs[name, setting] if run and run["noisy"])
            if noisy:
                lines += ["", f"{noisy} of these runs were made while the machine had other work."]
        if self.left_out:
            lines += ["", f"Not to be had here: {', '.join(self.left_out)}."]
        return "\n".join(lines)

    def measure(self, start, setting, more):
        """A run with the machine to itself, or the quietest of a few; of one, where it is to be quick."""
        best = None
        for _ in range(1 if self.options.quick else 3):
            server = start()
            try:
                result = self.load(server, *setting, more=more)
            finally:
                server.stop()
            if best is None or result["others"] < best["others"]:
                best = result
            if best["others"] <= self.options.others:
                break
        return {**best, "noisy": best["others"] > self.options.others}

    def load(self, server, size, window, connections, messages=None, seconds=None, more=()):
        seconds = seconds or self.options.seconds
        command = [self.peers, "load", server.address, "--size", size, "--window", window, "--connections", connections,
                   "--seconds", seconds, "--pid", server.process.pid, *more]
        if messages or size >= 1 << 14:
            # by number: all of it counts
            command += ["--messages", messages or min(int(seconds * 5000), MOST_BYTES // (2 * size)),
                        "--seconds", 120]
        before, began = busy(), time.monotonic()
        own_before = sum(own_ticks())
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds + 200)
        all_ticks, took = busy() - before, time.monotonic() - began
        if done.returncode != 0:
            raise CannotRun(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "the load failed")
        # what this process, its children and theirs used is our own
        others = max(0, all_ticks - (sum(own_ticks()) - own_before)) / TICK / took / os.cpu_count()
        return {**json.loads(done.stdout), "others": others}

    @cached_property
    def recording(self):
        """What `cargo bench --bench recording` prints: of each recording, what was measured and how that went."""
        say("recording a million frames, filtering and drawing them")
        recordings = {}
        for line in run(["cargo", "bench", "--bench", "recording"], ROOT).splitlines():
            if line.startswith("  "):
                # in columns
                figures[line[2:68].strip()] = line[68:].strip()
            elif line:
                figures = recordings[line] = {}
        return recordings


def describe(setting):
    size, window, connections = setting
    name = f"{size // 1024} KiB" if size >= 1024 else f"{size} B"
    return f"{name}, window {window}, {connections} connection{'s' * (connections > 1)}"
