"""DuckDB's types of the records, from their JSON Schemas: the columns are there whatever a file holds."""

from typing import Any, Final

Schema = dict[str, Any]
_SCALARS: Final = {"integer": "BIGINT", "string": "VARCHAR", "boolean": "BOOLEAN"}


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def columns(schema: Schema) -> dict[str, str]:
    """Names and types of a record's columns."""
    return {name: _type(part, schema) for name, part in schema["properties"].items()}


def _resolved(part: Schema, schema: Schema) -> Schema:
    reference = part.get("$ref")
    return schema["$defs"][reference.removeprefix("#/$defs/")] if reference else part


def _type(part: Schema, schema: Schema) -> str:
    part = _resolved(part, schema)
    kind = _kind(part)
    if kind == "object" and "properties" not in part:  # its keys are as many as there are
        return f"MAP(VARCHAR, {_type(part['additionalProperties'], schema)})"
    if kind == "object":
        fields = (f"{quoted(name)} {_type(its, schema)}" for name, its in part["properties"].items())
        return f"STRUCT({', '.join(fields)})"
    if kind == "array":
        return _type(part["items"], schema) + "[]"
    return _SCALARS[kind]


def _kind(part: Schema) -> str:
    """The JSON type beside null."""
    kinds = part.get("type")
    if kinds is None:
        values = [value for value in part.get("enum", [part.get("const")]) if value is not None]
        return "integer" if all(isinstance(value, int) for value in values) else "string"
    return next(kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null")
