"""A program that listens."""
import os
import socket
import subprocess
import threading
import time

from common import CannotRun


class Server:
    """A program that listens; where, it says itself unless it is told."""

    def __init__(self, command, address=None, **environment):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, errors="replace", env={**os.environ, **environment})
        self.address, self.said = address, []
        self.listens = threading.Event()
        threading.Thread(target=self.hear, daemon=True).start()
        deadline = time.monotonic() + 20
        while not (self.listens.is_set() or address and accepts(address)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise CannotRun(f"{command[0]} does not listen; it said: {''.join(self.said[-3:]).strip()}")
            time.sleep(0.02)

    def hear(self):
        for line in self.process.stdout:
            self.said = self.said[-20:] + [line]
            if not self.address and "listening on " in line:
                self.address = line.split("listening on ")[1].split()[0].removeprefix("ws://").rstrip("/,")
                self.listens.set()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def accepts(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        return True
    except OSError:
        return False


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
