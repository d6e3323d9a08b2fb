"""Namespaces for live captures: as root or without, or a skip that says why."""

import subprocess
import sys

import pytest

from tests.support.netns import SERVE, Namespace, Sensor, need_tools


@pytest.fixture
def namespace():
    """A namespace with nothing in it but lo."""
    need_tools()
    space = Namespace()
    yield space
    space.close()


@pytest.fixture
def hosts():
    """Two hosts: eth0 of the first, 192.168.2.30 and its default route, to eth0 of the second, which has the others."""
    need_tools()
    near = Namespace()
    far = Namespace(near)
    near.ip(f"link add eth0 type veth peer name eth0 netns {far.holder.pid}")
    for space in (near, far):
        # No neighbour discovery and no router solicitation: what a test counts is what it sends.
        space.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6 || true")
    near.ip("addr add 192.168.2.30/24 dev eth0")
    far.ip("addr add 192.168.2.29/24 dev eth0")
    far.ip("addr add 203.119.160.6/32 dev eth0")
    near.ip("link set eth0 up")
    far.ip("link set eth0 up")
    near.ip("route add default via 192.168.2.29")
    yield near, far
    far.close()
    near.close()


@pytest.fixture
def sensors(tmp_path):
    """Starts sensors in a folder of the test, and ends those that it forgot."""
    started = []

    def start(namespace, *arguments, **options):
        sensor = Sensor(namespace, *arguments, cwd=tmp_path, **options)
        started.append(sensor)
        return sensor

    yield start
    for sensor in started:
        sensor.kill()


@pytest.fixture
def servers():
    """Starts echo servers in a namespace, and ends them."""
    started = []

    def start(namespace, address, *ports):
        process = namespace.start(sys.executable, "-c", SERVE, address, *map(str, ports), stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"up\n"

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
