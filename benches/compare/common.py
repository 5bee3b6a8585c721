"""Where things lie, and what every part needs."""
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
CACHE = TARGET / "compare"


class CannotRun(Exception):
    """Why there is no result, in a sentence."""


def run(command, folder=None, timeout=1800, **environment):
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **{name: str(value) for name, value in environment.items()}})
    if done.returncode != 0:
        raise CannotRun(f"{' '.join(map(str, command[:2]))} failed:\n{done.stderr[-1500:]}")
    return done.stdout


def attempt(command):
    say(f"installing: {' '.join(map(str, command[:3]))} …")
    try:
        return subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, timeout=1800).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def timed(command):
    """Seconds from a program's start to its end, and the most MiB of memory that it took."""
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds, process.returncode = time.monotonic() - began, os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise CannotRun(f"{' '.join(map(str, command[:2]))} failed:\n{said.decode(errors='replace')[-1500:]}")
    return seconds, usage.ru_maxrss / 1024


def resident(server):
    """Bytes of memory that it takes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s*(\d+)", status)[1])


def cpu_seconds(server):
    """What its threads have computed, to the nanosecond."""
    threads = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def say(what):
    print(f"compare: {what}", file=sys.stderr, flush=True)


def grid(heads, rows):
    """A table in Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in [heads, *rows]]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""
