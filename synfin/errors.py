"""The whole tree of errors, and the exit code that each ends a command with.

SynfinError
├── UsageError      you: a flag, a filter or the configuration is wrong          exit 2
├── CaptureError    this host: a file or an interface cannot be read or written  exit 1
│   └── CapturePermissionError  the capability to capture is missing            exit 4
├── StorageError    this host: a folder or file of ours cannot be kept           exit 1
│   └── StoragePermissionError  we may not write there                          exit 4
├── BrokerError     the network: Kafka is away or refuses                        exit 5
└── ContractError   they sent something undecodable: it goes to the dead letter  exit 1

Odd traffic is never an exception: it is a row with a reason.
"""

from typing import ClassVar, Final

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INCOMPLETE: Final = 3  # finished, but with drops, a torn file or lag
EXIT_PERMISSION: Final = 4
EXIT_BROKER: Final = 5


class SynfinError(Exception):
    """Says what is wrong, where, and what to do; printed as one line, without a traceback."""

    exit_code: ClassVar[int] = EXIT_FAILED


class UsageError(SynfinError):
    """A flag, a filter or the configuration is wrong."""

    exit_code = EXIT_USAGE


class CaptureError(SynfinError):
    """A capture file or an interface of this host cannot be read or written."""


class CapturePermissionError(CaptureError):
    """The process may not capture here."""

    exit_code = EXIT_PERMISSION


class StorageError(SynfinError):
    """A folder or file in which we keep something cannot be written, or does not hold what we left there."""


class StoragePermissionError(StorageError):
    """The process may not write there."""

    exit_code = EXIT_PERMISSION


class BrokerError(SynfinError):
    """Kafka cannot be reached, or refuses."""

    exit_code = EXIT_BROKER


class ContractError(SynfinError):
    """Bytes from a topic or a file that do not decode: never a wrong row, always the dead letter."""
