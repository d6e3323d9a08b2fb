"""docker-compose.yml and the Dockerfile, as far as they can be judged without a daemon and without a network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from synfin.cli import COMMANDS
from synfin.config import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
CACHE = "SYNFIN_CACHE_DIR"  # chosen before any setting is read
OURS = ("topics", "processor", "sink", "sensor")


@pytest.fixture(scope="module")
def services():
    return YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]


def test_the_file_follows_the_compose_specification():
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, ROOT / "docker-compose.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_service_has_no_more_power_than_it_needs(services):
    assert set(services) == {"kafka", *OURS}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
    for name in OURS:
        assert services[name]["read_only"] is True, name
    assert {name for name in services if "cap_add" in services[name]} == {"sensor"}
    assert {name for name in services if services[name].get("user") == "root"} == {"sensor"}
    assert {name for name in services if "network_mode" in services[name]} == {"sensor"}
    assert services["sensor"]["cap_add"] == ["NET_RAW", "SETUID", "SETGID", "CHOWN"]


def test_kafka_is_published_on_loopback_alone(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:9092:9092"]


def test_commands_and_variables_are_ours(services):
    variables = {setting.variable: setting for setting in SETTINGS}
    for name in OURS:
        command = services[name]["command"][0]
        assert command in COMMANDS
        for variable in services[name].get("environment", {}):
            assert variable == CACHE or command in variables[variable].commands, f"{name}: {variable}"


def test_what_the_dockerfile_copies_is_there_and_reaches_the_build():
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().split()
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert len(copied) > 5
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source.partition('/')[0]}" in ignore, source


def test_the_image_runs_as_a_user_of_its_own():
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["synfin"]
