"""Three connections that this process makes with itself over loopback: a normal close, a refusal and an abort."""

import contextlib
import socket
import struct
import time
from typing import Final, Self

ADDRESS: Final = "127.0.0.1"
ANSWER_S: Final = 5.0
PAUSE_S: Final = 0.02
LINGER_0: Final = struct.pack("ii", 1, 0)
REQUEST: Final = b"GET / HTTP/1.0\r\n\r\n"
ANSWER: Final = b"HTTP/1.0 204 No Content\r\n\r\n"


class Conversations:
    """A port that is served and one that is not, both reserved; play() talks to them."""

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._listener: socket.socket
        self._served = ("", 0)
        self._silent = ("", 0)

    def __enter__(self) -> Self:
        """Reserve the ports."""
        self._listener = self._open.enter_context(socket.create_server((ADDRESS, 0)))
        self._listener.settimeout(ANSWER_S)
        nobody = self._open.enter_context(socket.socket())
        nobody.bind((ADDRESS, 0))
        self._served, self._silent = self._listener.getsockname(), nobody.getsockname()
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        self._open.close()

    @property
    def bpf(self) -> str:
        """The filter that these packets pass, and no others."""
        return f"host {ADDRESS} and tcp port ({self._served[1]} or {self._silent[1]})"

    def play(self) -> None:
        """Make the connections, one after the other."""
        self._closed_by_client()
        self._refused()
        self._aborted_by_client()

    def _connected(self) -> tuple[socket.socket, socket.socket]:
        client = self._open.enter_context(socket.create_connection(self._served, ANSWER_S))
        server, _ = self._listener.accept()
        self._open.enter_context(server)
        server.settimeout(ANSWER_S)
        client.sendall(REQUEST)
        server.recv(len(REQUEST), socket.MSG_WAITALL)
        server.sendall(ANSWER)
        client.recv(len(ANSWER), socket.MSG_WAITALL)
        time.sleep(PAUSE_S)
        return client, server

    def _closed_by_client(self) -> None:
        client, server = self._connected()
        client.close()
        server.recv(1)
        time.sleep(PAUSE_S)
        server.close()

    def _refused(self) -> None:
        with socket.socket() as client, contextlib.suppress(ConnectionRefusedError):
            client.settimeout(ANSWER_S)
            client.connect(self._silent)

    def _aborted_by_client(self) -> None:
        client, server = self._connected()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        client.close()
        time.sleep(PAUSE_S)
        server.close()
