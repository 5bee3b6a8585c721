"""The machine: what it is, and what it has to do."""
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from common import ROOT, run


def machine(options):
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    rust = run(["rustc", "--version"]).split()[1]
    lock = (ROOT / "benches/peers/Cargo.lock").read_text().split("[[package]]")
    crates = [dict(line.split(" = ", 1) for line in part.strip().splitlines()[:2]) for part in lock[1:]]
    version = {crate["name"].strip('"'): crate["version"].strip('"') for crate in crates}
    peers = [f"{name} {version[name]}" for name in ["tokio-tungstenite", "fastwebsockets", "tokio-websockets", "tokio"]]
    for program, option in [("haproxy", "-v"), ("nginx", "-v"), ("socat", "-V"), ("tshark", "-v"), ("node", "-v")]:
        if shutil.which(program):
            said = subprocess.run([program, option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
            number = re.search(r"\d+(\.\d+)+", said)
            peers += [f"{program} {number[0]}"] if number else []
    quiet = ("whatever else the machine had to do" if options.quick
             else f"where possible with at most {options.others:.0%} of the machine used by others")
    return (f"{os.cpu_count()} × {cpu}, Linux {platform.release().split('-')[0]}, Rust {rust}; {', '.join(peers)}; "
            f"{options.rounds} rounds of {options.seconds:g} s, {quiet}.")


def own_ticks():
    """Processor time of this process, its children that have ended, and all that descends from it and runs."""
    parents, ticks = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(words[1])
            ticks[int(entry.name)] = sum(int(word) for word in words[11:15])
    for pid in ticks:
        ancestor = pid
        while ancestor and ancestor != os.getpid():
            ancestor = parents.get(ancestor)
        if ancestor:
            yield ticks[pid]


def busy():
    """Ticks that the machine's processors did not idle, but for interrupts, which no process is charged with."""
    user, nice, system, _idle, _wait, _irq, _softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return user + nice + system + steal
