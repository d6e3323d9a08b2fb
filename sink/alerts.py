"""Alerts to their own topic. The processor decides which events are alerts; the type in the header says so.

What takes an alert back, an event `revised`, goes there too, behind it: under the same key.

An alert keeps the `ce_id` of its event, and so it is the same however often it is sent. It is acknowledged by the
broker before the journal moves: after a crash in between it is sent again, and readers drop it by that id.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

ID_HEADER: Final = "ce_id"
TYPE_HEADER: Final = "ce_type"

_RULE: Final = re.compile(rb"(?:[a-z0-9_]+\.)*?(alert\.[a-z0-9_]+(?:\.[a-z0-9_]+)*)")
_REVISED: Final = re.compile(rb"(?:[a-z0-9_]+\.)*revised")
# No text within a JSON string has an unescaped quote, so this is the record's own key. Ids: view, kind, number.
_CORRECTS: Final = re.compile(rb',"corrects":"[0-9a-f]+/(alert\.[a-z0-9_]+(?:\.[a-z0-9_]+)*)/[0-9]+"')

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Alert:
    """A record for the alerts topic. Key: rule and group, so that one trouble's alerts stand in order."""

    key: bytes
    value: bytes
    id: bytes
    type: bytes

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """CloudEvents' headers; `synfin_seq` counts within the events topic and does not go along."""
        return [(ID_HEADER, self.id), (TYPE_HEADER, self.type)]


class AlertPort(Protocol):
    """Where alerts go."""

    def send(self, alert: Alert) -> None:
        """Hand over one alert, without waiting."""

    def unacknowledged(self, wait_s: float) -> int:
        """Wait at most so long for what was sent; return how many are not confirmed. BrokerError if it cannot be."""

    def refused(self) -> list[str]:
        """Why the broker refused alerts since this was asked last: those will never be sent."""


def header(headers: Headers | None, name: str) -> bytes | None:
    """Value of the first header of this name."""
    for key, value in headers or ():
        if key == name:
            return value
    return None


def rule_of(event_type: bytes | None, value: bytes) -> bytes | None:
    """Name the rule by which an event is an alert, or takes one back; None for any other event."""
    if event_type is None:
        return None
    match = _CORRECTS.search(value) if _REVISED.fullmatch(event_type) else _RULE.fullmatch(event_type)
    return match[1] if match else None


def alert_of(rule: bytes, event_key: bytes | None, value: bytes, headers: Headers) -> Alert | None:
    """Make the alert of an event; None when it has no id, without which nobody could drop it when it comes twice.

    The group is the event's own key: the connection, or the service for rules that count several.
    """
    alert_id = header(headers, ID_HEADER)
    if not alert_id:
        return None
    key = rule + b"/" + event_key if event_key else rule
    return Alert(key, value, alert_id, header(headers, TYPE_HEADER) or rule)
