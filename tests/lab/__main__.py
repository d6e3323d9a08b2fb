"""Record the scenarios anew: python -m tests.lab FOLDER [SCENARIO ...], as root.

Each becomes a folder: a.pcap and b.pcap as captured at either host, kernel.jsonl with what the kernel says of its
sockets, meta.json with the hosts' addresses and what happened.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.lab.bench import Bench
from tests.lab.kernel import StateTrace, write
from tests.lab.scenarios import SCENARIOS, Scenario

FIRST_PORT = 20_000
PORTS_EACH = 10


def record(scenario: Scenario, family: int, port: int, folder: Path, trace: StateTrace) -> None:
    """Play one scenario and write its folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    trace.clear()
    with Bench(family, port, wired=scenario.wired) as bench:
        with bench.captured(folder):
            scenario.play(bench)
        rows = trace.rows((bench.a, bench.b))
        meta = {
            "says": scenario.play.__doc__,
            "a": bench.a.addresses(),
            "b": bench.b.addresses(),
            "link": "tun" if scenario.wired else "veth",
        }
    write(folder / "kernel.jsonl", rows)
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


def main() -> int:
    """Record what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("scenario", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as mount:
        trace = StateTrace(Path(mount))
        trace.start()
        try:
            for number, scenario in enumerate(SCENARIOS):
                for family in scenario.families:
                    name = scenario.name + ("" if family == 4 else "_ipv6")
                    if args.scenario and name not in args.scenario:
                        continue
                    print(name)
                    record(scenario, family, FIRST_PORT + PORTS_EACH * number, args.folder / name, trace)
        finally:
            trace.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
