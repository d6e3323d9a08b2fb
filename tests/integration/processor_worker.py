"""A worker as a process of its own, with the tests' state machine in place of the core.

python -m tests.integration.processor_worker '{"bootstrap": …, "prefix": …, "age_s": …, "timeout_s": …}'
"""

import asyncio
import json
import sys

from processor.checkpoint import Cadence
from processor.serve import serve, set_up_logging
from processor.settings import ProcessorConfig
from synfin.broker import BrokerConfig
from synfin.program import run
from synfin.wire.topics import Topics
from tests.integration.state_machine import open_partition


def config_of(given):
    return ProcessorConfig(
        broker=BrokerConfig(bootstrap=given["bootstrap"], timeout_s=given.get("timeout_s", 20)),
        topics=Topics(prefix=given["prefix"]),
        group=given["prefix"],
        cadence=Cadence(age_s=given.get("age_s", 2.0), rest=1.0, input_bytes_min=given.get("input_bytes_min", 1 << 20)),
    )


def main(argv):
    set_up_logging(verbose=True, debug="--debug" in argv)

    async def work():
        from processor.app import build_app

        return await serve(build_app(config_of(json.loads(argv[0])), open_partition))

    return asyncio.run(work())


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:], "processor"))
