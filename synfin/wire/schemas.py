"""The JSON Schemas that the records keep to, which the package holds as files."""

import json
from importlib.resources import files
from typing import Any


def schema(record: str) -> dict[str, Any]:
    """JSON Schema of one kind of record."""
    text = files("synfin.wire").joinpath("schema", f"{record}.v1.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
