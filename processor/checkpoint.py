"""When a partition's snapshots are due: often enough to keep replays short, seldom enough to stay a small share."""

from dataclasses import dataclass
from typing import Final

_INPUT_BYTES_MIN: Final = 1 << 20  # a young partition's snapshots are tiny, and a checkpoint waits for the broker


@dataclass(frozen=True, slots=True)
class Cadence:
    """A checkpoint is due when the input since the last outweighs its snapshots, or when that input grows old."""

    age_s: float = 10.0  # of the oldest input that no snapshot covers
    age_s_max: float = 600.0  # far below the packets topic's retention, which a replay reads from
    rest: float = 20.0  # a checkpoint that took d seconds is followed by at least rest * d without another by age
    input_bytes_min: int = _INPUT_BYTES_MIN

    def due(self, input_bytes: int, snapshot_bytes: int, age_s: float, cost_s: float) -> bool:
        """Decide, from what came since the last checkpoint and from what that one wrote and took."""
        if input_bytes >= max(snapshot_bytes, self.input_bytes_min):
            return True
        return age_s >= min(max(self.age_s, self.rest * cost_s), self.age_s_max)
