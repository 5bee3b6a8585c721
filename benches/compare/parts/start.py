"""From nothing to the first screen."""
import statistics

from common import grid, say, timed
from server import free_port
from terminal import Terminal


def start(bench):
    say("start")
    count = 5 if bench.options.quick else 20
    screens, helps = [], []
    for _ in range(count):
        terminal = Terminal([bench.wsinspect, "serve", f"127.0.0.1:{free_port()}",
                             "--force", "--record", bench.folder / "recording.pcapng"])
        try:
            # the last line
            screens.append(1e3 * terminal.until(b"quit"))
        finally:
            terminal.stop()
        helps.append(1e3 * timed([bench.wsinspect, "--help"])[0])
    return "\n".join([
        "### start", "", f"{count} times each, from the start of the process.", "",
        grid(["", "median ms", "least", "most"], [
            [name, f"{statistics.median(times):.1f}", f"{min(times):.1f}", f"{max(times):.1f}"]
            for name, times in [("the first screen is drawn", screens), ("`--help` has ended", helps)]]), "",
        f"The release binary has {bench.wsinspect.stat().st_size / 1e6:.2f} MB."])
