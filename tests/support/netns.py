"""Network namespaces of a test's own, as root or, in a user namespace, without; and sensors that run in them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
READY_S = 240  # a cold compilation of the kernels is among it


class Namespace:
    """A network namespace, held by a sleeping process; `lo` is up."""

    def __init__(self, parent=None):
        user = [] if parent or os.geteuid() == 0 else ["--user", "--map-root-user"]
        enter = parent.enter if parent else []
        script = "ip link set lo up && echo up && exec sleep 600"
        command = [*enter, "unshare", *user, "--net", "sh", "-c", script]
        self.holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._user = bool(user) or bool(parent and parent._user)
        if self.holder.stdout.readline() != "up\n":
            self.holder.wait()
            why = self.holder.stderr.read().strip()
            self.close()
            pytest.skip(f"no network namespace can be made here: {why}")

    @property
    def enter(self):
        """What a command is put behind to run inside."""
        user = ["--user", "--preserve-credentials"] if self._user else []
        return ["nsenter", "--target", str(self.holder.pid), *user, "--net"]

    def run(self, *command, **options):
        """Run a command inside and give what it printed."""
        return subprocess.run(
            [*self.enter, *command], check=True, capture_output=True, text=True, timeout=60, cwd=ROOT, **options
        ).stdout

    def python(self, code, *arguments):
        return self.run(sys.executable, "-c", code, *map(str, arguments))

    def start(self, *command, **options):
        return subprocess.Popen([*self.enter, *command], cwd=options.pop("cwd", ROOT), **options)

    def ip(self, text):
        self.run("ip", *text.split())

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        self.holder.stderr.close()


def need_tools():
    for tool, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}: apt install {package}")


class Sensor:
    """A sensor inside a namespace, begun with the words of a shell line; `wait_ready` until it listens."""

    def __init__(self, namespace, *arguments, cwd=None, stdout=subprocess.PIPE, prefix=()):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.errors = Path(cwd or ".") / f"stderr-{time.monotonic_ns()}"
        with self.errors.open("wb") as stderr:
            self.process = namespace.start(
                *prefix,
                sys.executable,
                "-m",
                "sensor.cli",
                *arguments,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
            )

    def stderr(self):
        return self.errors.read_text()

    def wait_for(self, text):
        """Wait until stderr holds a text."""
        deadline = time.monotonic() + READY_S
        while text not in self.stderr():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.stderr()}"
            assert time.monotonic() < deadline, f"never said {text!r}: {self.stderr()}"
            time.sleep(0.05)
        return self

    def wait_ready(self):
        return self.wait_for("listening on")

    def signal(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def end(self, number=None):
        """Send a signal if one is given, wait, and give exit code and stderr."""
        if number is not None:
            self.signal(number)
        try:
            self.process.wait(timeout=60)
        finally:
            self.kill()
        return self.process.returncode, self.stderr()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout and not self.process.stdout.closed:
            self.process.stdout.close()


# Talks over TCP inside one namespace: connections to a server that it starts itself; each carries `payload` bytes.
CONVERSE = """
import socket, sys
address, port, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.create_server((address, port), family=family) as server:
    for _ in range(count):
        with socket.create_connection((address, port)) as client:
            peer, _ = server.accept()
            with peer:
                client.sendall(bytes(size))
                left = size
                while left:
                    left -= len(peer.recv(left))
                client.shutdown(socket.SHUT_WR)
                assert peer.recv(1) == b""
"""

# A server that echoes until it is killed; prints a line when it listens on all of its ports.
SERVE = """
import socket, sys, threading
def serve(server):
    while True:
        peer, _ = server.accept()
        with peer:
            while data := peer.recv(65536):
                peer.sendall(data)
for port in sys.argv[2:]:
    threading.Thread(target=serve, args=(socket.create_server((sys.argv[1], int(port))),)).start()
print("up", flush=True)
"""

# One echoed message to each of some ports.
CALL = """
import socket, sys
for port in sys.argv[2:]:
    with socket.create_connection((sys.argv[1], int(port)), timeout=10) as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
"""

# Sends frames, given in hex, as they are.
SEND_FRAMES = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
    sock.bind((sys.argv[1], 0))
    for frame in sys.argv[2:]:
        sock.send(bytes.fromhex(frame))
"""
