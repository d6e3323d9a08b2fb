"""`synfin schema`: prints the JSON Schemas that the records keep to."""

import argparse
import sys
from typing import Any, Final

from synfin.errors import EXIT_OK

RECORDS: Final = ("flow", "event", "aggregate", "counts")
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("record", nargs="?", choices=RECORDS, help="one kind of record; without it, all in one schema")


def any_record() -> dict[str, Any]:
    """JSON Schema of a stream that mixes them."""
    from synfin.wire.schemas import schema

    parts = {record: schema(record) for record in RECORDS}
    return {
        "$schema": _DIALECT,
        "$id": "urn:synfin:schema:record:v1",
        "title": "record",
        "oneOf": [{"$ref": part["$id"]} for part in parts.values()],
        "$defs": parts,
    }


def main(args: argparse.Namespace) -> int:
    """Print a schema."""
    import json

    from synfin.wire.schemas import schema

    json.dump(schema(args.record) if args.record else any_record(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    return EXIT_OK
