"""Relays."""
import shutil

import peers


def relay(bench):
    upstream = bench.start([bench.peers, "echo", "bare"])
    try:
        to = upstream.address
        contenders = {
            "wsinspect relay": lambda: bench.start_wsinspect("relay", "127.0.0.1:0", to),
            "copy_bidirectional": lambda: bench.start([bench.peers, "relay", to]),
        }
        contenders.update(installed_relays(bench, to))
        return bench.table("relay: to a bare echo server", contenders)
    finally:
        upstream.stop()


def installed_relays(bench, to):
    packages = {"haproxy": "haproxy", "nginx": "nginx-light", "socat": "socat"}
    if not bench.options.quick:
        peers.debian([package for name, package in packages.items() if not shutil.which(name)])
    relays = {name: lambda name=name: getattr(peers, f"start_{name}")(bench, to) for name in packages if shutil.which(name)}
    bench.left_out += [name for name in packages if name not in relays]
    if not bench.options.quick:
        if websocat := peers.websocat(bench):
            relays["websocat"] = lambda: bench.start_on_port(
                # as text, as it came; a message must fit into its buffer
                lambda port: [websocat, "-t", "-E", "-B", "262144", f"ws-l:127.0.0.1:{port}", f"ws://{to}"])
        if mitmdump := peers.mitmdump(bench):
            relays["mitmproxy"] = lambda: peers.start_mitmproxy(bench, mitmdump, to)
    return relays
