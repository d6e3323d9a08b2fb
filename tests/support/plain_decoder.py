"""A decoder in another process, compiled where this one runs as plain Python and the other way round.

Reads capture files, each with its length before it, from standard input; answers with a digest of all that came of it.
"""

import hashlib
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def digest(data):
    """Of the rows, flows, counters and last words on a capture file's bytes."""
    from sensor.dissect import Dissector
    from sensor.pcapfile import CaptureFile
    from synfin.errors import CaptureError

    told = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(data)
        file, dissector = CaptureFile(path), Dissector(verify=True)
        try:
            for block in file.blocks():
                for rows in (block.frames, *dissector.dissect(block)):
                    for name in rows.dtype.names:
                        if name != "pad":
                            told.update(rows[name].tobytes())
        except CaptureError as error:
            told.update(str(error).replace(folder, "").encode())
        told.update(repr((str(file.torn).replace(folder, ""), file.frames, dissector.counters)).encode())
    return told.digest()


class OtherDecoder:
    """The other process; a context that ends it."""

    def __enter__(self):
        from synfin.compiled import ENABLED

        environment = {**os.environ, "SYNFIN_COMPILED": "0" if ENABLED else "1", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        return self

    def digest(self, data):
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        return self.process.stdout.read(32)

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(60) == 0


def main():
    while head := sys.stdin.buffer.read(4):
        data = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
        sys.stdout.buffer.write(digest(data))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
