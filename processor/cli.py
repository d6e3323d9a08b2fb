"""The command `processor`: a Faust worker with our configuration."""

import argparse
import sys

from synfin.config import add_flags, resolve
from synfin.program import run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="processor",
        description="Rebuilds the states of TCP connections from the batches of the sensors: a Faust worker.",
        epilog="Start as many as there is work, on any host: they share the partitions. "
        "`faust -A processor.app worker` runs the same with Faust's own command.",
        allow_abbrev=False,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is assigned, loaded and read again")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    add_flags(parser, "processor")
    return parser


def work(argv: list[str]) -> int:
    """Run a worker until it is stopped; gives the exit code."""
    args = _parser().parse_args(argv)
    settings = resolve("processor", vars(args))

    import asyncio

    from processor import health, serve
    from processor.settings import ProcessorConfig
    from synfin import metrics

    serve.set_up_logging(args.verbose, args.debug)
    config = ProcessorConfig.of(settings)

    async def serve_app() -> int:
        from processor.app import build_app

        app = build_app(config)
        worker = app.worker
        probe = health.probe(worker.counters, worker.status, worker.judged, worker.spilled)
        server = metrics.start(settings, "processor", probe)
        try:
            return await serve.serve(app)
        finally:
            if server is not None:
                server.stop()

    return asyncio.run(serve_app())


def main(argv: list[str] | None = None) -> int:
    """Entry point of `processor`."""
    return run(work, sys.argv[1:] if argv is None else argv, "processor")


if __name__ == "__main__":
    sys.exit(main())
