"""The key of the core's index, which is drawn outside the core: there is no chance in that."""

import os


def index_key() -> tuple[int, int]:
    """A key for the index's hash that nobody outside can know."""
    return int.from_bytes(os.urandom(8), "little"), int.from_bytes(os.urandom(8), "little")
