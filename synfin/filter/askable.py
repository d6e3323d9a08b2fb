"""Which filters records can answer: those by what a record holds of its connection."""

from typing import Final

from synfin.filter.errors import FilterError
from synfin.filter.tree import Filter

# Where a record has the text that a field of connections asks for, by the field's column.
PATHS: Final = {
    "state.orig": ("orig", "state"),
    "state.resp": ("resp", "state"),
    "handshake": ("handshake", "kind"),
    "teardown": ("teardown", "kind"),
    "rst_form": ("teardown", "rst_form"),
    "conn_state": ("conn_state",),
    "history": ("history",),
    "flow_id": ("flow_id",),
}
_OF_EVENTS: Final = {"v4", "v6", "all", "v4_ends", "v6_ends", "ports", "flow_id"}


def by_records(made: Filter) -> bool:
    """Whether records alone can answer the filter: each of its fields is one of theirs, and no bytes are asked for."""
    return all(field.flow for field in made.fields) and not made.bytewise


def check_of_flows(made: Filter) -> None:
    """Refuse a filter that flow records cannot answer. FilterError."""
    if by_records(made):
        return
    other = next((field.name for field in made.fields if not field.flow), None)
    what = f"{other} is not known" if other else "there are no bytes"
    raise FilterError(made.text, (0, len(made.text)), f"{what} of a connection's record, only of its packets")


def check_of_events(made: Filter) -> None:
    """Refuse a filter that events cannot answer. FilterError."""
    other = [field.name for field in made.fields if field.flow not in _OF_EVENTS]
    if other or made.bytewise:
        what = f"{other[0]} is not known of an event" if other else "an event has no bytes"
        raise FilterError(made.text, (0, len(made.text)), f"{what}: its connection's addresses, ports and flow_id are")
