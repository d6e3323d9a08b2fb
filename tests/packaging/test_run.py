"""`run` and `test` as shell: what they set up, what they pass on, and what they say where something is missing."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "sha256sum", "dirname", "readlink", "rm", "mkdir")
CALL = ["-P", "-c", "import sys; from synfin.cli import main; sys.exit(main())"]
ARGUMENTS = ["read", "a file.pcap", "-Y", "ip.addr==10.0.0.1 && !tcp.port in {80 443}", "", "$HOME", "*"]

# Stands in for .venv/bin/python: notes an installation, prints any other command line a word a line.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-c "*version_info*) exit 0 ;;
"-m pip") echo "$*" >>"{log}" ;;
*) printf '%s\\n' "$@" ;;
esac
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path):
    """Folder with the few programs that the scripts may use: neither uv nor Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    return folder


@pytest.fixture
def checkout(tmp_path):
    """Copy of the scripts with an environment that is set up for `run`."""
    folder = tmp_path / "a checkout"
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    shutil.copy(ROOT / "run", folder)
    program(folder / ".venv" / "bin" / "python", PYTHON.format(log=tmp_path / "pip.log"))
    (folder / ".venv" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (folder / ".venv" / ".synfin-run").write_text(stamp(folder))
    return folder


def stamp(folder, lock="run"):
    digest = hashlib.sha256((folder / "requirements" / f"{lock}.txt").read_bytes()).hexdigest()
    return f"{digest} {folder}\n"


def call(script, tools, *arguments, cwd=None):
    return subprocess.run(
        [script, *arguments], env={"PATH": str(tools)}, cwd=cwd, capture_output=True, text=True, check=False
    )


def test_arguments_pass_unchanged_from_any_folder_and_through_a_link(checkout, tools, tmp_path):
    (tmp_path / "link").symlink_to(checkout / "run")
    for script in (checkout / "run", tmp_path / "link"):
        done = call(script, tools, *ARGUMENTS, cwd="/")
        assert done.stdout.split("\n") == [*CALL, *ARGUMENTS, ""]
        assert done.stderr == ""
    assert not (tmp_path / "pip.log").exists()


def test_no_arguments_are_the_demonstration(checkout, tools):
    assert call(checkout / "run", tools).stdout == "-P\n-m\nsynfin.demo\n"


def test_kafka_installs_what_it_needs_at_the_first_call_only(checkout, tools, tmp_path):
    for _ in range(2):
        done = call(checkout / "run", tools, "kafka", "--port", "9092")
        assert done.stdout.split("\n") == [str(checkout / "deploy" / "broker.py"), "--port", "9092", ""]
    (installation,) = (tmp_path / "pip.log").read_text().splitlines()
    assert installation.endswith(f"-r {checkout}/requirements/kafka.txt")


def test_a_changed_lock_is_installed_once_with_hashes(checkout, tools, tmp_path):
    with (checkout / "requirements" / "run.txt").open("a") as lock:
        lock.write("# another\n")
    for _ in range(2):
        done = call(checkout / "run", tools, "--version")
        assert (done.returncode, done.stdout.split("\n")) == (0, [*CALL, "--version", ""])
    (installation,) = (tmp_path / "pip.log").read_text().splitlines()
    assert "--require-hashes --no-deps" in installation
    assert installation.endswith(f"-r {checkout}/requirements/run.txt")
    assert (checkout / ".venv" / ".synfin-run").read_text() == stamp(checkout)
    pth = checkout / ".venv" / "lib" / "python3.11" / "site-packages" / "synfin-checkout.pth"
    assert pth.read_text() == f"{checkout}\n"


def test_a_failed_installation_is_not_taken_for_done(checkout, tools):
    program(checkout / ".venv" / "bin" / "python", '#!/bin/sh\n[ "$1" = -c ]\n')
    (checkout / ".venv" / ".synfin-run").unlink()
    assert call(checkout / "run", tools, "--version").returncode == 1
    assert not (checkout / ".venv" / ".synfin-run").exists()


def test_without_uv_and_ensurepip_one_line_names_the_package(checkout, tools):
    shutil.rmtree(checkout / ".venv")
    program(tools / "python3", '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n')
    done = call(checkout / "run", tools)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["Python's venv module is incomplete here: apt install python3-venv"]


def test_without_a_new_enough_python_it_says_so(checkout, tools):
    shutil.rmtree(checkout / ".venv")
    program(tools / "python3", "#!/bin/sh\nexit 1\n")
    done = call(checkout / "run", tools)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Python 3.11 or later is needed and was not found; name it with PYTHON=/path/to/python3"
    ]


def test_test_refuses_a_part_that_is_not_there():
    done = subprocess.run([ROOT / "test", "no-such-part"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "  ./test [--install] [--no-kafka] [PART ...]" in done.stderr.splitlines()[1]


@pytest.mark.parametrize("lock", ["run", "kafka", "build", "test"])
def test_locks_hold_a_hash_for_each_package_and_no_host_or_path(lock):
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    packages = text.replace("\\\n", "").splitlines()
    assert packages
    for line in packages:
        assert "==" in line
        assert "--hash=sha256:" in line
    assert "://" not in text
    assert "/" not in text
