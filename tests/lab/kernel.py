"""What the kernel's own sockets went through: sock:inet_sock_set_state, from a tracing instance of our own."""

import json
import re
import time
from pathlib import Path

from tests.lab.hosts import CLONE_NEWNS, Host, check, libc

MS_REC, MS_PRIVATE = 0x4000, 0x40000  # sys/mount.h
ROW = re.compile(
    r"\s(?P<seconds>\d+)\.(?P<micros>\d{6}): inet_sock_set_state: family=\w+ protocol=(?P<proto>\w+) "
    r"sport=(?P<sport>\d+) dport=(?P<dport>\d+) saddr=(?P<saddr>\S+) daddr=\S+ saddrv6=(?P<saddrv6>\S+) "
    r"daddrv6=\S+ oldstate=TCP_(?P<old>\w+) newstate=TCP_(?P<new>\w+)"
)


class StateTrace:
    """Records the transitions of all TCP sockets of this machine; rows() picks out those of some hosts."""

    def __init__(self, folder: Path) -> None:
        self._mount = folder
        self._instance = folder / "instances" / f"synfin-lab-{time.monotonic_ns()}"

    def start(self) -> None:
        """Mount tracefs where nobody else sees it, and begin; needs root."""
        check(libc.unshare(CLONE_NEWNS), "a mount namespace")
        check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "a private mount namespace")
        check(libc.mount(b"none", bytes(self._mount), b"tracefs", 0, None), "tracefs")
        self._instance.mkdir()
        (self._instance / "trace_clock").write_text("mono")
        self._switch("1")

    def _switch(self, on: str) -> None:
        (self._instance / "events/sock/inet_sock_set_state/enable").write_text(on)

    def clear(self) -> None:
        """Forget what came so far."""
        (self._instance / "trace").write_text("")

    def rows(self, hosts: tuple[Host, ...]) -> list[dict[str, object]]:
        """Transitions of the hosts' sockets since clear(), in order, with times since the epoch."""
        epoch_ns = time.time_ns() - time.monotonic_ns()
        owner = {address: host.name for host in hosts for address in host.addresses()}
        found = []
        for match in map(ROW.search, (self._instance / "trace").read_text().splitlines()):
            host = match and (owner.get(match["saddr"]) or owner.get(match["saddrv6"]))
            if match is None or host is None:
                continue
            t_ns = int(match["seconds"]) * 10**9 + int(match["micros"]) * 1000 + epoch_ns
            found.append(
                {"t_ns": t_ns, "host": host, "event": "state"}
                | {key: match[key] for key in ("old", "new", "proto")}
                | {key: int(match[key]) for key in ("sport", "dport")}
            )
        return found

    def close(self) -> None:
        """End the recording and remove the instance."""
        self._switch("0")
        self._instance.rmdir()
        check(libc.umount2(bytes(self._mount), 0), "tracefs")


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """One row a line."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
