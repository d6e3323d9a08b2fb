"""The files that a sink wrote, as relations of DuckDB: `flows`, `events`, `aggregates`; a record's keys are columns.

DuckDB runs in this process, in memory, and may read those files alone: no other file, no network, no extension.
"""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from synfin.errors import StorageError, StoragePermissionError, UsageError
from synfin.query.columns import columns, literal, quoted
from synfin.query.sql import MACROS, Where
from synfin.wire.schemas import schema

RECORDS: Final = {"flows": "flow", "events": "event", "aggregates": "aggregate"}  # relation: what its records say
TOPICS: Final = {"flows": "flows", "events": "events", "aggregates": "events"}  # where they stand
KEYS: Final = {"flows": ("start_ns", "view_id"), "events": ("ts_ns", "id"), "aggregates": ("ts_ns", "id")}  # order
_GLOB: Final = frozenset("*?[")  # DuckDB would take them for a pattern
LINE_BYTES_MAX: Final = 16 << 20  # of a record
FETCHED: Final = 1024  # rows at a time
_LIVE: Final = ".jsonl.live"  # grows; what stands behind its last newline is not yet a record


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: the folder of a sink whose topics have this prefix, or one file of lines."""

    path: Path
    prefix: str = "synfin"

    def files(self, relation: str) -> list[Path]:
        """Files that may hold records of a relation, by name. UsageError where there is nothing at all."""
        if _GLOB & set(str(self.path.absolute())):
            raise UsageError(f"{self.path}: a path with * ? or [ cannot be asked; give it another name")
        try:
            if self.path.is_dir():
                names = [f"{self.prefix}.{known}.v1" for known in ("flows", "events")]
                if not any((self.path / name).is_dir() for name in names):
                    raise UsageError(f"{self.path}: has no folder {' or '.join(names)}; --in names where `sink` writes")
                folder = self.path / f"{self.prefix}.{TOPICS[relation]}.v1"
                return sorted(path for path in folder.glob("*.jsonl*") if path.name.endswith((".jsonl", _LIVE)))
            if self.path.exists():
                return [self.path]
        except OSError as error:
            raise StoragePermissionError(f"{self.path}: cannot be listed: {error.strerror}") from error
        raise UsageError(f"{self.path}: there is no such file or folder; --in names where `sink` writes, or a file")


class Store:
    """Asks the relations. Not for two threads."""

    def __init__(self, places: list[Place]) -> None:
        """StorageError, UsageError."""
        try:
            import duckdb  # noqa: PLC0415  25 MB that only this command needs
        except ImportError:
            raise UsageError("`query` needs DuckDB: pip install 'synfin[query]'") from None
        self._places, self._duckdb = places, duckdb
        scratch = tempfile.mkdtemp(prefix="synfin-query-")  # ours alone; used when memory does not do
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        paths = [place.path.absolute() for place in places]
        self._connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "temp_directory": scratch,
            }
        )
        self._connection.execute(MACROS)
        self._connection.execute(f"SET allowed_directories = {_texts([path for path in paths if path.is_dir()])}")
        self._connection.execute(f"SET allowed_paths = {_texts([path for path in paths if not path.is_dir()])}")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")
        self._look()

    def _look(self) -> None:
        """Make the relations of the files as they are now."""
        for relation in RECORDS:
            files = [path.absolute() for place in self._places for path in place.files(relation)]
            types = columns(schema(RECORDS[relation]))
            self._view(relation, files, types)

    def _view(self, relation: str, files: list[Path], types: dict[str, str]) -> None:
        """One of its records, and one of their lines as they stand in the files."""
        said = f"WHERE type = {literal(RECORDS[relation])}"
        order, key = KEYS[relation]
        records, lines = [], []
        of_line = f"json AS line, json->>{literal(key)} AS key, TRY_CAST(json->>{literal(order)} AS BIGINT) AS place"
        for torn in (False, True):
            some = [path for path in files if path.name.endswith(_LIVE) is torn]
            if some:
                records.append(
                    f"SELECT * FROM read_json({_texts(some)}, columns = {_columns(types)}, {_how(torn)}) {said}"
                )
                of_type = f"WHERE json->>'type' = {literal(RECORDS[relation])}"
                lines.append(f"SELECT {of_line} FROM read_ndjson_objects({_texts(some)}, {_how(torn)}) {of_type}")
        if not records:
            nothing = ", ".join(f"NULL::{its} AS {quoted(name)}" for name, its in types.items())
            records = [f"SELECT {nothing} WHERE FALSE"]
            lines = ["SELECT NULL::VARCHAR AS line, NULL::VARCHAR AS key, NULL::BIGINT AS place WHERE FALSE"]
        self._connection.execute(f"CREATE OR REPLACE VIEW {relation} AS {' UNION ALL '.join(records)}")
        self._connection.execute(f"CREATE OR REPLACE VIEW lines_of_{relation} AS {' UNION ALL '.join(lines)}")

    def ask(self, sql: str, parameters: dict[str, Any] | None = None) -> "Answer":
        """Run a query. UsageError for SQL that is wrong, StorageError for files that are."""
        try:
            try:
                cursor = self._connection.execute(sql, parameters or {})
            except self._duckdb.IOException:  # a file was finished meanwhile, and has another name now
                self._look()
                cursor = self._connection.execute(sql, parameters or {})
            return Answer([column[0] for column in cursor.description or ()], self._rows(cursor))
        except self._duckdb.Error as error:
            raise self._said(error) from error

    def select(self, sql: str) -> "Answer":
        """Run what somebody wrote, if it is one SELECT: files that may be read could be written as well."""
        try:
            statements = self._connection.extract_statements(sql)
        except self._duckdb.Error as error:
            raise self._said(error) from error
        if [statement.type for statement in statements] != [self._duckdb.StatementType.SELECT]:
            raise UsageError("--sql takes one SELECT, and nothing that writes or sets")
        return self.ask(sql)

    def lines(self, relations: list[str], condition: Where, limit: str = "") -> Iterator[str]:
        """Records of relations as they stand in the files, by their times."""
        chosen = (
            f"SELECT line, place, key FROM lines_of_{name} "
            f"WHERE key IN (SELECT {KEYS[name][1]} FROM {name} WHERE {condition.sql})"
            for name in relations
        )
        answer = self.ask(f"{' UNION ALL '.join(chosen)} ORDER BY place, key{limit}", condition.parameters)
        return (row[0] for row in answer.rows)

    def refused(self, pattern: str) -> str | None:
        """Why RE2, which searches texts here, does not take a pattern."""
        try:
            self._connection.execute("SELECT regexp_matches('', $pattern)", {"pattern": pattern}).fetchall()
        except self._duckdb.Error as error:
            return str(error).strip()
        return None

    def _rows(self, cursor: Any) -> Iterator[tuple[Any, ...]]:
        try:
            while rows := cursor.fetchmany(FETCHED):
                yield from rows
        except self._duckdb.Error as error:
            raise self._said(error) from error

    def _said(self, error: Exception) -> Exception:
        kinds = self._duckdb
        text = str(error).strip()
        wrong = kinds.IOException | kinds.InvalidInputException | kinds.ConversionException | kinds.OutOfRangeException
        if isinstance(error, wrong):
            return StorageError(f"the records cannot be read: {text.partition(chr(10))[0]}")  # then: advice on settings
        if isinstance(error, kinds.OutOfMemoryException):
            return StorageError(f"not enough memory: {text}; narrow the question, as by --since")
        return UsageError(text)


@dataclass(slots=True)
class Answer:
    """What a query gave: names of columns, and rows that come as they are taken."""

    names: list[str]
    rows: Iterator[tuple[Any, ...]]


def _texts(paths: list[Path]) -> str:
    return f"[{', '.join(literal(str(path)) for path in paths)}]"


def _columns(types: dict[str, str]) -> str:
    return f"{{{', '.join(f'{literal(name)}: {literal(its)}' for name, its in types.items())}}}"


def _how(torn: bool) -> str:
    return f"format = 'newline_delimited', maximum_object_size = {LINE_BYTES_MAX}, ignore_errors = {torn}"
