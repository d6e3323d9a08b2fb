"""Answers as tables for people, JSON lines and CSV."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from synfin.query.store import Answer
from synfin.view.record_cells import line, moment
from synfin.view.style import Style, safe
from synfin.view.words import duration, size

ALIGNED: Final = 256  # rows that are aligned with one another, and held at a time
Shown = Mapping[str, str]


_FORMS: Final[dict[str, Callable[[int], str]]] = {"time": moment, "duration": duration, "size": size}


def cells(names: Sequence[str], rows: Iterable[Sequence[Any]], shown: Shown) -> Iterable[list[str]]:
    """Any row in its columns."""
    forms = [_FORMS.get(shown.get(name, "")) for name in names]
    for row in rows:
        yield [_cell(value, form) for value, form in zip(row, forms, strict=True)]


def _cell(value: Any, form: Callable[[int], str] | None) -> str:
    if value is None:
        return "-"
    if form is not None:
        return form(value)
    if isinstance(value, dict | list):
        import orjson  # noqa: PLC0415  few tables have such a cell

        return safe(orjson.dumps(value, default=str).decode())
    return safe(str(value))


def print_table(headings: Sequence[str], rows: Iterable[list[str]], right: Sequence[bool], style: Style) -> int:
    """Print rows in columns under their headings, some hundred at a time; how many there were."""
    held: list[list[str]] = []
    widths, count = [len(heading) for heading in headings], 0
    for row in rows:
        held.append(row)
        count += 1
        if len(held) == ALIGNED:
            _print_block(headings if count == ALIGNED else None, held, (widths, right), style)
            held = []
    if held:
        _print_block(headings if count < ALIGNED else None, held, (widths, right), style)
    return count


def _print_block(
    headings: Sequence[str] | None, rows: list[list[str]], columns: tuple[list[int], Sequence[bool]], style: Style
) -> None:
    widths, right = columns
    for row in rows:
        widths[:] = map(max, widths, map(len, row))
    if headings is not None:
        sys.stdout.write(style.paint(line(headings, widths, right), "faint") + "\n")
    for row in rows:
        sys.stdout.write(line(row, widths, right) + "\n")


def print_json(objects: Iterable[Mapping[str, Any]]) -> None:
    """Print one object a line."""
    import orjson  # noqa: PLC0415  only this form needs it

    for value in objects:
        sys.stdout.buffer.write(orjson.dumps(value, default=str) + b"\n")


def print_csv(answer: Answer) -> None:
    """Print rows with commas between their values, under a line of names."""
    import csv  # noqa: PLC0415  only this form needs it

    import orjson  # noqa: PLC0415

    writer, shown = csv.writer(sys.stdout), sys.stdout.isatty()
    writer.writerow(answer.names)
    for row in answer.rows:
        texts = (orjson.dumps(cell).decode() if isinstance(cell, dict | list) else cell for cell in row)
        writer.writerow(safe(text) if shown and isinstance(text, str) else text for text in texts)


def numeric(rows: Sequence[Sequence[Any]], width: int) -> list[bool]:
    """Which columns hold numbers."""
    return [any(isinstance(row[i], int | float) for row in rows) for i in range(width)]
