"""Where compiled kernels are kept: a folder of one's own, whatever may be written to."""

import os
import tempfile

import pytest

from synfin import compiled


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """The folder that is chosen, with some variables set and a temporary folder of its own."""
    for name in ("SYNFIN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()

    def choose(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        return compiled.cache_folder.__wrapped__()

    return choose


def test_the_first_that_can_be_written_to_is_taken(chosen, tmp_path):
    (tmp_path / "file").touch()
    assert chosen(HOME=tmp_path) == tmp_path / ".cache" / "synfin" / "kernels"
    assert chosen(XDG_CACHE_HOME=tmp_path) == tmp_path / "synfin" / "kernels"
    assert chosen(SYNFIN_CACHE_DIR=tmp_path / "file") == tmp_path / "synfin" / "kernels"
    assert chosen(SYNFIN_CACHE_DIR=tmp_path) == tmp_path / "kernels"


def test_without_a_home_it_is_the_same_folder_every_time(chosen, tmp_path):
    first = chosen(HOME="/proc/nowhere")
    assert first == chosen() == tmp_path / "tmp" / f"synfin-{os.geteuid()}" / "kernels"
    assert first.parent.stat().st_mode & 0o777 == 0o700


def test_code_is_not_taken_from_a_folder_that_another_could_have_made(chosen, tmp_path):
    theirs, elsewhere = tmp_path / "tmp" / f"synfin-{os.geteuid()}", tmp_path / "elsewhere"
    theirs.mkdir()
    theirs.chmod(0o777)
    assert not chosen().is_relative_to(theirs)
    theirs.rmdir()
    elsewhere.mkdir(mode=0o700)
    theirs.symlink_to(elsewhere)
    assert not chosen().is_relative_to(theirs)
