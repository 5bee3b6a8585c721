"""With TLS on both legs."""
import json
import shutil
import statistics

import peers
from common import CannotRun, run, say, spread

# (bytes, window, connections)
SETTINGS = [(125, 1, 1), (125, 64, 1), (1024, 64, 1), (65536, 64, 1)]


def tls(bench):
    """With TLS on both legs, beside nginx. A second nginx is the TLS of the echo server behind both."""
    for program, package in [("nginx", "nginx-light"), ("openssl", "openssl")]:
        if not shutil.which(program):
            peers.debian([package])
        if not shutil.which(program):
            raise CannotRun(f"TLS is compared with nginx, and there is no {program}")
    cert, key = bench.folder / "cert.pem", bench.folder / "key.pem"
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert])
    echo = bench.start([bench.peers, "echo", "bare"])
    upstream = peers.start_nginx(bench, echo.address, (cert, key), name="upstream")
    try:
        contenders = {
            "wsinspect relay": lambda: bench.start_wsinspect(
                "relay", "127.0.0.1:0", f"wss://{upstream.address}", "-k", "--tls", "--cert", cert, "--key", key),
            "nginx": lambda: peers.start_nginx(bench, upstream.address, (cert, key), scheme="https"),
        }
        table = bench.table("relay: TLS on both legs", contenders, SETTINGS, ["--tls"])
        return table + "\n\n" + handshakes(bench, contenders)
    finally:
        upstream.stop()
        echo.stop()


def handshakes(bench, contenders):
    """Connections opened and let go of, eight at once: TLS and WebSocket, on both legs."""
    runs = {name: [] for name in contenders}
    for round in range(bench.options.rounds):
        say(f"handshakes: round {round + 1} of {bench.options.rounds}")
        for name, start in contenders.items():
            server = start()
            try:
                runs[name].append(json.loads(run([bench.peers, "open", server.address, "--tls", "--connections", "8",
                                                  "--seconds", bench.options.seconds, "--pid", server.process.pid])))
            finally:
                server.stop()
    lines = ["Connections opened and left again, eight at once, TLS and WebSocket on both legs:", "",
             "| | opened/s | CPU ms each | opened, ratio | CPU, ratio |", "|---" * 5 + "|"]
    own = next(iter(runs.values()))
    for name, its in runs.items():
        ratio = lambda key: "" if its is own else spread([a[key] / b[key] for a, b in zip(own, its) if b[key]])
        middle = lambda key: statistics.median(run[key] for run in its)
        lines.append(f"| {name} | {middle('opened_per_s'):,.0f} | {middle('cpu_ms_each'):.3f} | "
                     f"{ratio('opened_per_s')} | {ratio('cpu_ms_each')} |")
    return "\n".join(lines)
