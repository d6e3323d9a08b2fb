"""Captures the conversations into a file, with the sensor's own parts."""

from pathlib import Path

from sensor.capfile_writer import CaptureFileFormat, CaptureFileWriter
from sensor.capture import open_live
from synfin.demo.traffic import Conversations


def record(path: Path) -> None:
    """Make the connections and write what lo saw of them; CaptureError where it cannot be captured."""
    with Conversations() as conversations:
        capture = open_live("lo", conversations.bpf)
        try:
            form = CaptureFileFormat(interface="lo", filter=conversations.bpf)
            writer = CaptureFileWriter(str(path), form, capture.link)
            writer.open()
            conversations.play()  # the ring has room for all of it
            capture.stop()
            for block in capture.blocks(0.1):
                writer.write(block)
            writer.close()
        finally:
            capture.close()
