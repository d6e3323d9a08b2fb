import errno
import os
from pathlib import Path

import pytest

from sink.files import Extent, LiveFile, Names, Rotation, make_folder, storing
from sink.lock import FolderLock
from synfin.errors import EXIT_FAILED, EXIT_PERMISSION, StorageError, StoragePermissionError


def test_names_tell_topic_partition_and_offsets(tmp_path):
    names = Names(tmp_path, "synfin.flows.v1", 7)
    assert names.live(1234).name == "synfin.flows.v1-7-00000000000000001234.jsonl.live"
    closed = names.closed(Extent(1234, 2345, 1, None))
    assert closed.name == "synfin.flows.v1-7-00000000000000001234-00000000000000002345.jsonl"


def test_only_own_files_are_found(tmp_path):
    names = Names(tmp_path, "synfin.flows.v1", 1)
    mine = [names.closed(Extent(0, 9, 1, None)), names.live(10)]
    others = [
        Names(tmp_path, "synfin.flows.v1", 11).live(0),
        Names(tmp_path, "synfin-flows.v1", 1).live(0),
        tmp_path / "synfin.flows.v1-1.jsonl",
        tmp_path / "synfin.flows.v1-1-00000000000000000000.jsonl.live.swp",
    ]
    for path in [*mine, *others]:
        path.touch()
    assert names.found() == mine


@pytest.mark.parametrize(
    ("size", "first_ns", "event_ns", "due"),
    [
        (99, 0, 49, False),
        (100, 0, 0, True),
        (1, 0, 50, True),
        (1, 50, 0, False),  # an older record among newer ones
        (1, None, 10**18, False),
        (1, 0, None, False),
    ],
)
def test_a_file_is_due_by_size_or_event_time(size, first_ns, event_ns, due):
    assert Rotation(100, 50).due(size, first_ns, event_ns) is due


def test_a_torn_tail_is_cut_and_the_file_goes_on(tmp_path):
    path = tmp_path / "a.jsonl.live"
    path.write_bytes(b"whole\ntor")
    file = LiveFile(path, 6, new=False)
    file.open()
    file.append(b"next\n")
    file.sync()
    file.close()
    assert path.read_bytes() == b"whole\nnext\n"
    assert file.size == 11


@pytest.mark.parametrize("content", [b"whol", None], ids=["shorter", "missing"])
def test_a_file_that_holds_less_than_was_confirmed_is_refused_and_left(tmp_path, content):
    path = tmp_path / "a.jsonl.live"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match=r"its journal says 6.*name another folder"):
        LiveFile(path, 6, new=False).open()
    assert not path.exists() if content is None else path.read_bytes() == content


def test_a_file_that_is_deleted_while_it_grows_is_noticed(tmp_path):
    path = tmp_path / "a.jsonl.live"
    file = LiveFile(path, 0, new=True)
    file.open()
    path.unlink()
    file.append(b"x\n")
    with pytest.raises(StorageError, match="deleted while it grew"):
        file.sync()
    file.close()


def test_a_full_disk_says_what_to_do():
    file = LiveFile(Path("/dev/full"), 0, new=False)
    file.open()
    with pytest.raises(StorageError, match="cannot write /dev/full: No space left on device; free space"):
        file.append(b"x\n")
    file.close()


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, StorageError, EXIT_FAILED),
        (errno.EDQUOT, StorageError, EXIT_FAILED),
        (errno.EACCES, StoragePermissionError, EXIT_PERMISSION),
        (errno.EROFS, StoragePermissionError, EXIT_PERMISSION),
        (errno.EIO, StorageError, EXIT_FAILED),
    ],
)
def test_an_error_of_the_system_has_its_own_exit_code(tmp_path, number, kind, code):
    with pytest.raises(kind, match=f"cannot write {tmp_path}") as raised, storing("write", tmp_path):
        raise OSError(number, os.strerror(number))
    assert raised.value.exit_code == code


def test_folders_are_made_and_each_new_name_is_synced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("sink.files.sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert set(synced) == {tmp_path, tmp_path / "a"}
    synced.clear()
    make_folder(tmp_path / "a" / "b")
    assert synced == []


def test_a_second_sink_is_told_who_holds_the_folder(tmp_path):
    with FolderLock(tmp_path / "out"):
        with pytest.raises(StorageError, match=rf"in use by the sink with pid {os.getpid()} on .*--out") as raised:
            FolderLock(tmp_path / "out").__enter__()
        assert raised.value.exit_code == EXIT_FAILED
    with FolderLock(tmp_path / "out"):
        pass
