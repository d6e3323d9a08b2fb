"""Options of the whole suite, and the report from which ./test prints its last lines."""

import os
from pathlib import Path

import pytest

NO_KAFKA = "skipped by --no-kafka"


def pytest_addoption(parser):
    parser.addoption("--no-kafka", action="store_true", help="skip the tests that need a broker")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--no-kafka"):
        for item in items:
            if item.get_closest_marker("kafka"):
                item.add_marker(pytest.mark.skip(reason=NO_KAFKA))


def _reason(report):
    """A skip's reason: the third part of its place, without pytest's own prefix."""
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)


def pytest_terminal_summary(terminalreporter):
    path = os.environ.get("SYNFIN_TEST_REPORT")
    if not path:
        return
    stats = terminalreporter.stats
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    lines = [f"passed\t{len(stats.get('passed', []))}", f"failed\t{failed}"]
    lines += [f"skipped\t{report.nodeid}\t{_reason(report)}" for report in stats.get("skipped", [])]
    with Path(path).open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
