"""A disk that can be stopped at any operation: the process killed, or the power lost.

The real folder holds what the operating system would show. Beside it stands what fsync has made durable, so that a
power loss can take back everything else, or leave a part of it.
"""

import os
from pathlib import Path


class Crash(BaseException):
    """Not an Exception: nothing may catch it on the way."""


class Budget:
    """How many operations happen before the crash; None: no crash."""

    def __init__(self):
        self.left = None
        self.spent = 0

    def spend(self):
        self.spent += 1
        if self.left is not None:
            if self.left == 0:
                raise Crash
            self.left -= 1


class Disk:
    def __init__(self, root, monkeypatch, budget):
        self.root = Path(root)
        self.budget = budget
        self._real = {name: getattr(os, name) for name in ("open", "write", "fsync", "rename", "unlink", "ftruncate")}
        self._real["close"] = os.close
        self._open = {}  # descriptor: path when opened
        self._durable_bytes = {}  # inode: bytes
        self._durable_names = {}  # folder: {name: inode}
        self._pending = {}  # folder: [(operation, name, inode or new name)]
        self._kept = {}  # inode: descriptor that keeps it, so that its bytes and number stay
        for name in ("open", "write", "fsync", "rename", "unlink", "ftruncate", "close"):
            monkeypatch.setattr(os, name, getattr(self, name))

    def _ours(self, path):
        try:
            return Path(os.fspath(path)).is_relative_to(self.root)
        except TypeError:
            return False

    def _inode(self, path):
        return Path(path).stat().st_ino

    def _note(self, path, operation, other):
        self._pending.setdefault(path.parent, []).append((operation, path.name, other))

    def open(self, path, flags, *rest, **more):
        if not self._ours(path):
            return self._real["open"](path, flags, *rest, **more)
        path = Path(path)
        new = bool(flags & os.O_CREAT) and not path.exists()
        self.budget.spend()
        descriptor = self._real["open"](path, flags, *rest, **more)
        self._open[descriptor] = path
        if new:
            inode = self._inode(path)
            self._kept[inode] = self._real["open"](path, os.O_RDONLY)
            self._durable_bytes[inode] = b""
            self._note(path, "create", inode)
        elif flags & os.O_TRUNC:
            self._durable_bytes[self._inode(path)] = b""  # a truncation may or may not have lasted: take the worse
        return descriptor

    def close(self, descriptor):
        self._open.pop(descriptor, None)
        self._real["close"](descriptor)

    def write(self, descriptor, data):
        if descriptor not in self._open:
            return self._real["write"](descriptor, data)
        try:
            self.budget.spend()
        except Crash:
            self._real["write"](descriptor, bytes(data)[: len(data) // 2])  # torn
            raise
        return self._real["write"](descriptor, data)

    def fsync(self, descriptor):
        if descriptor not in self._open:
            self._real["fsync"](descriptor)
            return
        self.budget.spend()
        path = self._open[descriptor]
        if path.is_dir():
            self._durable_names[path] = self._names(path)
            self._pending.pop(path, None)
        else:
            inode = os.fstat(descriptor).st_ino
            self._durable_bytes[inode] = self._content(inode)

    def rename(self, source, target):
        if self._ours(source):
            self.budget.spend()
            self._note(Path(source), "rename", Path(target).name)
        self._real["rename"](source, target)

    def unlink(self, path, **more):
        if self._ours(path):
            self.budget.spend()
            self._note(Path(path), "unlink", None)
        self._real["unlink"](path, **more)

    def ftruncate(self, descriptor, size):
        if descriptor in self._open:
            self.budget.spend()
        self._real["ftruncate"](descriptor, size)

    def _content(self, inode):
        descriptor = self._kept[inode]
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)

    def _names(self, folder):
        return {path.name: self._inode(path) for path in folder.iterdir() if path.is_file()}

    def _folders(self):
        return [self.root, *(path for path in self.root.rglob("*") if path.is_dir())]

    def killed(self):
        """kill -9: descriptors go, what was written stays."""
        for descriptor in list(self._open):
            self.close(descriptor)

    def power_lost(self, random):
        """Names and bytes that no fsync confirmed may be there, in part, or not; a torn tail may be zeros."""
        self.killed()
        after = {}
        for folder in self._folders():
            names = dict(self._durable_names.get(folder, {}))
            pending = self._pending.get(folder, [])
            for operation, name, other in pending[: random.randint(0, len(pending))]:
                if operation == "create":
                    names[name] = other
                elif operation == "rename":
                    names[other] = names.pop(name)
                else:
                    names.pop(name)
            after[folder] = {name: self._survives(inode, random) for name, inode in names.items()}
        for folder, files in after.items():
            for path in [path for path in folder.iterdir() if path.is_file()]:
                self._real["unlink"](path)
            self._pending.pop(folder, None)
            self._durable_names[folder] = {}
            for name, content in files.items():
                self._put(folder / name, content)

    def _survives(self, inode, random):
        durable, now = self._durable_bytes[inode], self._content(inode)
        if not now.startswith(durable):
            return random.choice((durable, now))
        tail = now[len(durable) :][: random.randint(0, len(now) - len(durable))]
        return durable + (bytes(len(tail)) if random.random() < 0.3 else tail)

    def _put(self, path, content):
        descriptor = self._real["open"](path, os.O_WRONLY | os.O_CREAT, 0o644)
        self._real["write"](descriptor, content)
        self._real["close"](descriptor)
        inode = self._inode(path)
        if inode in self._kept:
            self._real["close"](self._kept[inode])
        self._kept[inode] = self._real["open"](path, os.O_RDONLY)
        self._durable_bytes[inode] = content
        self._durable_names[path.parent][path.name] = inode

    def close_all(self):
        self.killed()
        for descriptor in self._kept.values():
            self._real["close"](descriptor)
        self._kept.clear()
