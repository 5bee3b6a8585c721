"""Where things lie, and what every part needs."""
import os
import statistics
import subprocess
import sys
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


def say(what):
    print(f"compare: {what}", file=sys.stderr, flush=True)


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""
