"""Decoding alone: the medians that criterion found."""
import json

from common import ROOT, TARGET, run, say


def decode(bench):
    say("decode")
    brief = ["--", "--warm-up-time", "0.1", "--measurement-time", "0.3", "--sample-size", "10"]
    run(["cargo", "bench", "--bench", "decode", *(brief if bench.options.quick else [])],
        ROOT / "benches/peers", CARGO_TARGET_DIR=TARGET)
    found = {}
    for file in sorted((TARGET / "criterion").rglob("new/benchmark.json")):
        about = json.loads(file.read_text())
        estimate = json.loads((file.parent / "estimates.json").read_text())["median"]
        group, name, size = about["group_id"], about["function_id"] or "wsinspect", int(about["value_str"])
        found.setdefault(group, {}).setdefault(name, {})[size] = estimate["point_estimate"]
    lines = ["### Decoding", "", "Nanoseconds of processor time a message; less is better."]
    for group, rows in found.items():
        sizes = sorted(next(iter(rows.values())))
        lines += ["", f"| {group} | " + " | ".join(f"{size:,} B" for size in sizes) + " |",
                  "|---" * (len(sizes) + 1) + "|"]
        lines += [f"| {name} | " + " | ".join(f"{row[size]:,.1f}" for size in sizes) + " |" for name, row in rows.items()]
    return "\n".join(lines)
