"""A file that grows for minutes."""
import shutil

from common import CannotRun, grid, say

# (bytes, window, connections): as much as a disk may take for minutes, and not all that it can
SETTING = (1024, 1, 4)
MOST_BYTES_PER_SECOND = 200 << 20


def growth(bench):
    seconds = bench.options.growth_seconds
    if shutil.disk_usage(bench.folder).free < seconds * MOST_BYTES_PER_SECOND:
        raise CannotRun(f"a recording that grows for {seconds:g} s needs more room than there is in {bench.folder}")
    file = bench.folder / "growth.pcapng"
    upstream = bench.start([bench.peers, "echo", "bare"])
    try:
        server = bench.start_wsinspect("relay", "127.0.0.1:0", upstream.address, record=file)
        try:
            quarters = []
            for quarter in range(4):
                say(f"growth: quarter {quarter + 1} of 4")
                quarters.append(bench.load(server, *SETTING, seconds=seconds / 4))
        finally:
            server.stop()
    finally:
        upstream.stop()
    size = file.stat().st_size / 1e9
    file.unlink()
    messages, cpu = (quarters[-1][key] / quarters[0][key] for key in ["messages_per_s", "cpu_s_per_million"])
    return "\n".join([
        "### relay: a recording that grows", "",
        f"1 KiB, window 1, 4 connections, for {seconds:g} s; the recording has {size:.1f} GB in the end.", "",
        grid(["quarter", "messages/s", "p99 µs", "CPU s a million"], [
            [str(n), f"{run['messages_per_s']:,.0f}", f"{run['p99_us']:,.0f}", f"{run['cpu_s_per_million']:.3f}"]
            for n, run in enumerate(quarters, 1)]), "",
        f"The last to the first: {messages:.2f} of the messages, {cpu:.2f} of the processor's time a message."])
