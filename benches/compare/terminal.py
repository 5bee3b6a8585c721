"""A program in a terminal that is read all the time."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time

from common import CannotRun
from server import Server

COLUMNS, LINES = 200, 50


class Terminal(Server):
    def __init__(self, command, address=None):
        self.address, self.shown = address, b""
        self.changed = threading.Condition()
        self.master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.began = time.monotonic()
        self.process = subprocess.Popen([str(word) for word in command], stdin=terminal, stdout=terminal, stderr=terminal,
                                        start_new_session=True, env={**os.environ, "TERM": "xterm-256color"})
        os.close(terminal)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:
                return  # the program has ended
            with self.changed:
                self.shown, self.at = (self.shown + data)[-1 << 16:], time.monotonic()
                self.changed.notify()

    def press(self, keys):
        """What was shown before is forgotten."""
        with self.changed:
            self.shown, self.began = b"", time.monotonic()
            os.write(self.master, keys)

    def until(self, pattern):
        """Seconds from the start, or from the last key, until it shows what matches."""
        with self.changed:
            if not self.changed.wait_for(lambda: re.search(pattern, self.shown), timeout=20):
                raise CannotRun(f"the screen does not show {pattern.decode()}")
            return self.at - self.began

    def stop(self):
        super().stop()
        self.reader.join()
        os.close(self.master)
