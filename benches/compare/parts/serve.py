"""Echo servers."""
import peers


def serve(bench):
    contenders = {"wsinspect serve": lambda: bench.start_wsinspect("serve", "127.0.0.1:0")}
    for library in ["tokio-tungstenite", "fastwebsockets", "tokio-websockets"]:
        contenders[library] = lambda library=library: bench.start([bench.peers, "echo", library])
    if not bench.options.quick and peers.node(bench):
        contenders[f"ws {peers.WS} (Node)"] = lambda: peers.start_node(bench)
    # what is left where nothing is checked and nothing recorded: no server gets far beyond it under this load
    contenders["the least that echoes"] = lambda: bench.start([bench.peers, "echo", "bare"])
    return bench.table("serve: echo", contenders)
