"""Text of docs/aggregates.md, the page of alerts over several connections, from the tables of the program."""

import textwrap
from typing import Final

from processor.rules import NAMES, RULES, Rule
from processor.stuck import STUCK_MAX
from processor.windows import CELLS_MAX, KEYS_MAX, MEMBERS_A_CELL, RETAINED, SENSORS_MAX, SILENT_MS
from synfin.config import SETTINGS
from synfin.wire.counts import GROUPS, MEMBERS_MAX, SUMS

_AGGREGATES: Final = """\
# Alerts over several connections

Made from `processor/rules.py` by `python docs/make.py`: the program reads the same table.

Most alerts are about one connection, and the core raises them. These count many. They come in two stages. The first
adds up what each partition of the packets sees into records of counts: for each sensor, ten seconds of its own event
time, and service, source or sender of strays, one record in `synfin.counts.v1` (`synfin schema counts`). The second
reads those by their key, adds up the partitions, and asks the rules below about each window of each sensor. What a rule
finds goes to `synfin.events.v1` as a record of type `aggregate` (`synfin schema aggregate`), and from there, as every
`alert.*`, to `synfin.alerts.v1`. `synfin read --events` and `synfin run --events` have both stages in one process
and print the same records.

* Sums and sets do not depend on the order in which the partitions' records come. Each partition says, for every
  window, where its clock of the sensor stands; one that hears nothing of that sensor counts as far as its others are.
  A window is judged when all partitions that are alive are past it,
  however far apart they are read: a recording at full speed and a long catch-up raise what live traffic raises.
* A partition that has said nothing at all for {silent} seconds of the log's time is not waited for. What it says later
  counts too, and its windows are judged again.
* What waits is bounded: beyond {cells} windows of keys in a partition of the counts topic (of which {members_a_cell}
  members count as one more) windows are judged by what has come of them, and `processor_judged_early_total` counts it.
  A share, as that of attempts that succeed, may be wrong then, and counts that come {kept} windows late
  ({kept_service} for a service) find their window forgotten. Where that is too little, the keys with the least records
  give way.
* Times are those of sensors, and may be invented. Windows more than a minute after all clocks of their sensor are from
  before the clock was set back: they are judged when the next clock is told, and forgotten. A clock a day ahead of the
  broker's tells nothing of other sensors.
* A rule that is true again is silent until its cause was gone for `quiet_windows` windows.
* An alert that packets which we lost could explain is not raised: the sensor's drop counters, and batches that
  never came, mark the windows in which they fall. A reset or a refusal that was seen is no less true for what was
  not.
* Memory is bounded: a group of keys (there are {groups}) keeps {keys}, the one with the least records gives way, and
  `processor_judged_keys_dropped_total` counts it. So it is with sensors, of which {sensors} are kept and
  `processor_judged_sensors_dropped_total` counts the others; what waits of one that gives way is judged at once. Who
  makes way for a new one leaves it its weight, so that a sensor or a service that is heard again and again outlasts
  any number of invented ones. The first stage keeps as many sensors; the counts of one that makes way are sent early,
  and what it had lost or seen opened before is forgotten. Of
  members (a service's sources, a stray's peers) those with the {members} least hashes are kept, which tell how many
  there are: exactly below that, and within some 12 % above.

What the rules do not see:

* A connection counts as stuck in CLOSE-WAIT from its event `stuck.close_wait` to its end. One that sends again after a
  silent minute counts on, though its program may have had a reason to wait. A partition remembers {stuck} such
  connections; those that come beyond count as they get stuck, and not as held.
* Causes of a reset that only several connections show are told of no single one: a listener that was closed is
  `alert.listener_closed`, and a number of `alert.rst_storm`. A box between that ends idle connections (RSTs after the
  same idle time) is not looked for, because the counts carry no idle times.
* A listener whose queue is full drops the last ACK of handshakes, and repeats its SYN+ACK. Nothing counts that.

## The rules
{rules}
## What is counted
{sums}
## Thresholds
Settings of the processor, as `SYNFIN_RULES_SYN_RATE=200` or `syn_rate = 200` below `[rules]` in `synfin.toml`.

| setting | default | what |
|---|---|---|
{thresholds}
"""


def _told(rule: Rule) -> str:
    """One rule as a section."""
    words = [rule.judge.__doc__ or "", f"Severity `{rule.severity}`, of a {rule.of}.", f"Guard: {rule.guard}."]
    words += [] if rule.windows else ["Packets that we lost cannot explain it."]
    return f"### `{rule.kind}`\n{textwrap.fill(' '.join(words), 118, break_on_hyphens=False)}\n"


def aggregates_page() -> str:
    """Text of docs/aggregates.md."""
    settings = {setting.name.removeprefix("rules."): setting for setting in SETTINGS}
    rules = "\n".join(_told(rule) for rule in RULES)
    rows = ["| of | number | what |", "|---|---|---|"]
    rows += [f"| {of} | `{name}` | {words} |" for of, sums in SUMS.items() for name, words in sums.items()]
    limits = [f"| `rules.{name}` | {settings[name].default} | {settings[name].help} |" for name in NAMES]
    numbers = {
        "silent": SILENT_MS // 1000,
        "cells": CELLS_MAX,
        "groups": GROUPS,
        "keys": KEYS_MAX,
        "stuck": STUCK_MAX,
        "sensors": SENSORS_MAX,
        "members_a_cell": MEMBERS_A_CELL,
        "members": MEMBERS_MAX,
    }
    numbers |= {"kept": RETAINED["source"], "kept_service": RETAINED["service"]}
    return _AGGREGATES.format(rules=rules, sums="\n".join(rows) + "\n", thresholds="\n".join(limits), **numbers)
