"""Questions that people ask of many connections, ready made: each is a SELECT over `chosen`, the flows that pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Report:
    """A question, and how its columns are shown to a person: "time", "duration", "size"; else as they are."""

    asks: str
    sql: str
    shown: Mapping[str, str]


_TALKERS: Final = """
SELECT ip AS address, count(*) AS connections, sum(sent)::BIGINT AS sent, sum(received)::BIGINT AS received
FROM (SELECT orig.ip AS ip, orig.bytes AS sent, resp.bytes AS received FROM chosen
      UNION ALL SELECT resp.ip, resp.bytes, orig.bytes FROM chosen)
GROUP BY ip ORDER BY sum(sent) + sum(received) DESC, ip
"""
_HANDSHAKES: Final = """
SELECT start_ns AS time, orig.ip || ' ' || orig.port AS originator, resp.ip || ' ' || resp.port AS responder,
       handshake.syn_rtt_ns AS syn_to_synack, handshake.ack_rtt_ns AS synack_to_ack, handshake.syn_count AS syns,
       sensor
FROM chosen WHERE handshake.syn_rtt_ns IS NOT NULL
ORDER BY handshake.syn_rtt_ns + coalesce(handshake.ack_rtt_ns, 0) DESC, start_ns, view_id
"""
_RESETS: Final = """
SELECT CASE teardown."by" WHEN 'resp' THEN resp.ip ELSE orig.ip END AS reset_by,
       CASE teardown."by" WHEN 'resp' THEN orig.ip ELSE resp.ip END AS whom, resp.port AS service,
       CASE WHEN handshake.kind = 'rejected' THEN 'refused' ELSE teardown.kind END AS what, teardown.rst_form AS form,
       array_to_string(teardown.cause, ' or ') AS cause, count(*) AS times, min(start_ns) AS first, max(end_ns) AS last
FROM chosen WHERE teardown."by" IS NOT NULL OR handshake.kind = 'rejected'
GROUP BY ALL ORDER BY times DESC, reset_by, whom, service, what, form, cause
"""
# An endpoint is in a state from the transition that enters it to the one that leaves it, or to the record's end; in
# TIME-WAIT, which a record does not outlast, for the 60 s that Linux takes. Told is how many are in each at some
# moments, as whoever calls `ss` again and again would see it.
_OPEN: Final = (
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSING",
    "TIME-WAIT",
    "CLOSE-WAIT",
    "LAST-ACK",
)
_MOMENTS_MAX: Final = 40
_WIDTHS_NS: Final = [factor * 10**power for power in range(3, 9) for factor in (1, 2, 5)] + [
    seconds * 10**9 for seconds in (1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 21600, 43200, 86400, 604800)
]
_COUNTED: Final = ", ".join(f"""count(*) FILTER (WHERE state = '{name}') AS "{name}" """ for name in _OPEN)
_STATES: Final = f"""
WITH steps AS (
    SELECT view_id, end_ns, step.endpoint AS endpoint, step."to" AS state, step.t_ns AS entered, place
    FROM (SELECT view_id, end_ns, unnest(transitions) AS step, generate_subscripts(transitions, 1) AS place FROM chosen)
), spans AS (
    SELECT state, entered, lead(entered, 1, CASE state WHEN 'TIME-WAIT' THEN entered + 60000000000 ELSE end_ns END)
                           OVER (PARTITION BY view_id, endpoint ORDER BY place) AS left_at
    FROM steps
), edges AS (
    SELECT min(entered) AS first, max(CASE state WHEN 'TIME-WAIT' THEN entered ELSE left_at END) AS last
    FROM spans WHERE state IN {_OPEN}
), chosen_width AS (
    SELECT first, last, coalesce(list_filter({_WIDTHS_NS}, lambda width: (last - first) // width < {_MOMENTS_MAX})[1],
                                 (last - first) // {_MOMENTS_MAX}) AS width FROM edges WHERE first IS NOT NULL
), moments AS (
    SELECT unnest(range(first - first % width + width, last + 1, width)) AS time FROM chosen_width
)
SELECT time, {_COUNTED}
FROM moments LEFT JOIN spans ON entered <= time AND time < left_at
GROUP BY time ORDER BY time
"""
REPORTS: Final = {
    "talkers": Report("who sent and received most", _TALKERS, {"sent": "size", "received": "size"}),
    "handshakes": Report(
        "which took longest to open",
        _HANDSHAKES,
        {"time": "time", "syn_to_synack": "duration", "synack_to_ack": "duration"},
    ),
    "resets": Report("who resets or refuses whom", _RESETS, {"first": "time", "last": "time"}),
    "states": Report("how many endpoints are in each state, moment by moment", _STATES, {"time": "time"}),
}
