"""`synfin run` on loopback: connections that the test makes come out as records, and Ctrl-C drains."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def may_capture():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        return False
    return True


@pytest.mark.skipif(not may_capture(), reason="needs CAP_NET_RAW for a live capture")
def test_connections_over_loopback_come_out_as_they_end():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-m", "synfin.cli", "run", "-i", "lo", "--json", "tcp", "port", str(port)]
        with subprocess.Popen(
            command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
        ) as process:
            watchdog = threading.Timer(400, process.kill)
            watchdog.start()
            try:
                said = process.stderr.readline().decode()
                assert said.startswith("listening on lo"), said + process.stderr.read().decode()
                for _ in range(3):
                    client = socket.create_connection(("127.0.0.1", port))
                    served, _ = server.accept()
                    client.sendall(b"question")
                    assert served.recv(100) == b"question"
                    client.close()
                    assert served.recv(100) == b""
                    served.close()
                process.send_signal(signal.SIGINT)
                out, rest = process.communicate()
            finally:
                watchdog.cancel()
                process.kill()
    assert process.returncode == 0, rest.decode()
    found = [json.loads(line) for line in out.splitlines()]
    # Before, the port may have been somebody's ephemeral one, whose last packets the filter takes too.
    flows = [flow for flow in found if flow["resp"]["port"] == port]
    assert len(flows) == 3
    for flow in flows:
        assert flow["local"] == "both"
        assert flow["handshake"]["kind"] == "three_way"
        assert flow["teardown"]["kind"] == "orderly"
        assert flow["teardown"]["active_closer"] == "orig"
        assert flow["orig"]["bytes"] == 8
        assert all("certainty" not in step or step["certainty"] == "presumed" for step in flow["transitions"])
    assert "packets captured" in rest.decode()
