"""A world that the core got wrong, in the notation of tests/stories, to be saved there as a story."""

from synfin.wire.event import HANDSHAKES, RST_FORMS, SEGMENTS, SIDES, TEARDOWNS
from synfin.wire.segment import ACK, LOWER, RST
from tests.simulation.judge import T

ENDS = "AB"


def story_of(world, tap, views):
    """The packets at a tap, its host's true states beside them, and what the core makes of the rest."""
    sides = () if tap == "middle" else (ENDS.index(tap),)
    states = {
        (moment.packet, side): []
        for side in sides for endpoint in world.hosts[side].incarnations for moment in endpoint.history
    }  # fmt: skip
    for side in sides:
        for moment in (m for endpoint in world.hosts[side].incarnations for m in endpoint.history):
            if not moment.silent:
                states[moment.packet, side].append(moment.state)
    begins = [int(view.flow["start_ns"]) - T for view in views]
    lines = [f"Seed {world.seed} of the simulation, seen from {tap}: what it shows, in a sentence.", "And another.", ""]
    lines += [f"taps: {tap}", ""]
    for i, (t_ns, x) in enumerate(world.taps[tap], 1):
        while len(begins) > 1 and t_ns >= begins[1]:
            begins.pop(0)
            lines += [*_foot(views[len(views) - len(begins) - 1], tap), "", "---- next connection", ""]
        told = ["/".join(states.get((i, side), [])) or "." for side in range(2)]
        lines.append(f"{t_ns / 1e9:.9f}  {_packet(world, tap, x):60} | {told[0]:14} {told[1]}")
    return "\n".join(lines + _foot(views[-1], tap)) if views else "\n".join(lines)


def _packet(world, tap, x):
    first = [host.incarnations[0].iss if host.incarnations else 0 for host in world.hosts]
    me, peer = x.sender, 1 - x.sender
    one, two = ENDS[me], ENDS[peer]
    if tap != "middle":
        one, two = (one, "...") if tap == one else ("...", two)
    seq = (x.seq - first[me] + 2**31) % 2**32 - 2**31
    span = f"{seq}:{seq + x.length}" if x.length else f"{seq}"
    items = [f"seq {'=0' if x.flags & RST and not x.seq else span}"]
    if x.flags & ACK:
        items.append(f"ack {(x.ack - first[peer] + 2**31) % 2**32 - 2**31}")
    items.append(f"win {x.window}")
    items += [f"TS {x.tsval}/{x.tsecr}"] if x.tsval is not None else []
    items += [f"mss {x.mss}"] if x.mss else []
    items += [f"wscale {x.wscale}"] if x.wscale is not None else []
    items += ["sackOK"] if x.sack_permitted else []
    for left, right in x.sack[:1]:
        items.append("sack " + ":".join(str((edge - first[peer] + 2**31) % 2**32 - 2**31) for edge in (left, right)))
    return f"{one} > {two} [{x.letters}] {', '.join(items)}"


def _foot(view, tap):
    """What the core says; whoever saves the story corrects it."""
    flow = view.flow
    ends = (None, *(ENDS if flow["orig"] == LOWER else ENDS[::-1]), "both")
    parts = [TEARDOWNS[flow["teardown"]]]
    if flow["segments"]:
        parts.append(f"{SEGMENTS[flow['segments']]} segments".replace("half_close segments", "half close"))
    if flow["active_closer"]:
        parts.append(f"{ends[flow['active_closer']]} first")
    if flow["by"]:
        parts.append(f"{ends[flow['by']]} resets by {RST_FORMS[flow['rst_form']]}")
    assert len(SIDES) == len(ends)
    told = ["", f"opened: {HANDSHAKES[flow['handshake']]}", f"closed: {', '.join(parts)}"]
    told.append(f"events: {', '.join(view.events)}")
    others = [end for end in ENDS if end != tap]
    told += [f"{end}: {' > '.join(step.state for step in view.steps[ENDS.index(end)]) or 'nothing'}" for end in others]
    return told
