"""Programs that others made: how they are started, and where they come from if they are not there yet."""
import json
import os
import shutil
import sys
from pathlib import Path

from common import CACHE, attempt
from server import Server

WS, MITMPROXY, WEBSOCAT = "8.23.0", "11.0.2", "1.14.0"


def start_haproxy(bench, to):
    def command(port):
        file = bench.folder / "haproxy.cfg"
        file.write_text(f"defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
                        f"listen relay\n bind 127.0.0.1:{port}\n server echo {to}\n")
        return ["haproxy", "-db", "-f", file]
    return bench.start_on_port(command)


def start_nginx(bench, to, tls=None, scheme="http", name="nginx"):
    folder = bench.folder / name
    folder.mkdir(exist_ok=True)
    ssl = f" ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};" if tls else ""
    # its own sessions are not resumed either
    ssl += " proxy_ssl_session_reuse off;" if scheme == "https" else ""
    def command(port):
        file = folder / "nginx.conf"
        file.write_text(
            f"daemon off; pid {folder}/nginx.pid; error_log /dev/null;\n"
            f"worker_processes auto; events {{ worker_connections 1024; }}\n"
            f"http {{ access_log off; client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2;\n"
            f" fastcgi_temp_path {folder}/n3; uwsgi_temp_path {folder}/n4; scgi_temp_path {folder}/n5;\n"
            f" server {{ listen 127.0.0.1:{port}{' ssl' if tls else ''};{ssl}\n"
            f" location / {{ proxy_pass {scheme}://{to}; proxy_http_version 1.1;\n"
            f" proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }} }} }}\n")
        return ["nginx", "-c", file]
    return bench.start_on_port(command)


def start_socat(bench, to):
    return bench.start_on_port(lambda port: [
        "socat", "-b65536", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay,backlog=128", f"TCP:{to},nodelay"])


def start_mitmproxy(bench, mitmdump, to, *more):
    return bench.start_on_port(lambda port: [
        mitmdump, "-q", "--mode", f"reverse:http://{to}", "--listen-host", "127.0.0.1", "--listen-port", str(port),
        "--set", f"confdir={bench.folder}", *more])


def start_node(bench):
    code = ("const {WebSocketServer} = require('ws');"
            "const server = new WebSocketServer({host: '127.0.0.1', port: 0}, () =>"
            " console.log('listening on 127.0.0.1:' + server.address().port));"
            "server.on('connection', socket => socket.on('message', (data, binary) => socket.send(data, {binary})));")
    return Server(["node", "-e", code], NODE_PATH=str(CACHE / "node/node_modules"))


# what is not there yet


def node(bench):
    package = CACHE / "node/node_modules/ws/package.json"
    if not (package.exists() and json.loads(package.read_text())["version"] == WS):
        (CACHE / "node").mkdir(exist_ok=True)
        if not attempt(["npm", "install", "--prefix", CACHE / "node", "--no-save", "--no-audit", "--no-fund", f"ws@{WS}"]):
            bench.left_out.append("ws")
            return False
    return True


def websocat(bench):
    program = shutil.which("websocat") or CACHE / "websocat/bin/websocat"
    # not locked: a crate in its lock file is one that compilers no longer take
    if not Path(program).exists() and not attempt(
            ["cargo", "install", "websocat", "--version", WEBSOCAT, "--no-default-features",
             "--root", CACHE / "websocat", "--target-dir", CACHE / "websocat/target"]):
        bench.left_out.append("websocat")
        return None
    return program


def mitmdump(bench):
    program = shutil.which("mitmdump") or CACHE / "mitmproxy/bin/mitmdump"
    if not Path(program).exists() and not (
            attempt([sys.executable, "-m", "venv", CACHE / "mitmproxy"])
            and attempt([CACHE / "mitmproxy/bin/python", "-m", "pip", "install", "-q", f"mitmproxy=={MITMPROXY}"])):
        bench.left_out.append("mitmproxy")
        return None
    return program


def debian(packages):
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        attempt(["apt-get", "update", "-q"])
        attempt(["apt-get", "install", "-qy", "--no-install-recommends", *packages])
