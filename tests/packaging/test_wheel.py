"""The wheel, built once: what it puts at the top level, that its programs start, and what they do without."""

import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Imports every module below some packages where scapy cannot be had, and prints how many there were.
IMPORT_ALL = """
import importlib, pkgutil, sys

class NoScapy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "scapy":
            raise ModuleNotFoundError("no scapy here", name=name)

sys.meta_path.insert(0, NoScapy())
names = []
for package in sys.argv[1:]:
    root = importlib.import_module(package)
    names += [package, *(module.name for module in pkgutil.walk_packages(root.__path__, package + "."))]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def run(*command, cwd=None):
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Folder of a fresh environment that holds the wheel and nothing that it depends on."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    if shutil.which("uv"):
        run("uv", "pip", "install", "-q", "--offline", "--no-deps", "--python", python, wheel)
    else:
        run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--no-deps", wheel)
    return folder


def test_top_level_names_are_the_four_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    (info,) = {name for name in names if name.endswith(".dist-info")}
    assert info == f"synfin-{PROJECT['version']}.dist-info"
    assert names - {info} == {"synfin", "sensor", "processor", "sink"}


def test_the_wheel_holds_licences_types_and_no_test(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.rpartition("/")[2] for name in names if "/licenses/" in name} == {"LICENSE", "LICENSES.md"}
    assert {name for name in names if name.endswith("py.typed")} == {
        f"{package}/py.typed" for package in ("synfin", "sensor", "processor", "sink")
    }
    assert not [name for name in names if "test" in name]


@pytest.mark.parametrize("program", sorted(PROJECT["scripts"]))
def test_help_needs_no_dependency_at_all(installed, program, tmp_path):
    said = run(installed / "bin" / program, "--help", cwd=tmp_path)
    assert said.startswith("usage: ")
    assert program in said.splitlines()[0]


def test_version_is_that_of_the_project(installed, tmp_path):
    assert run(installed / "bin" / "synfin", "--version", cwd=tmp_path) == f"synfin {PROJECT['version']}\n"


def test_processor_and_sink_import_without_scapy(installed, tmp_path):
    site = next((installed / "lib").glob("python3.*/site-packages"))
    dependencies = [entry for entry in sys.path if entry.endswith("site-packages")]
    code = f"import sys; sys.path += {dependencies!r}\n{IMPORT_ALL}"
    count = int(run(installed / "bin" / "python", "-c", code, "processor", "sink", cwd=tmp_path))
    assert count == sum(1 for package in ("processor", "sink") for _ in (site / package).rglob("*.py"))
