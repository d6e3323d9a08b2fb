"""The sensor's way to Kafka as its flags and settings name it, and the spool that it needs."""

import os
import shutil
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from sensor.batcher import NO_AGE_NS
from sensor.plan import SENSOR_ID_MAX, Plan
from sensor.privileges import Account
from sensor.publisher import Limits, Publisher
from sensor.spool import Spool
from synfin.broker import KafkaBroker
from synfin.broker_config import BrokerConfig
from synfin.config import Settings
from synfin.errors import BrokerError, UsageError
from synfin.wire.batch import Lane

CONNECTED_S: Final = 30.0  # how long the end of a run waits for a broker that answers
AWAY_S: Final = 2.0  # and for one that does not, in a live capture: the spool keeps the batches


def lane_of(settings: Settings) -> Lane:
    """Lane of this process: one capturing process, so lane 0, of a start that no other has the number of."""
    name = settings["sensor.id"] or socket.gethostname()
    name = name.encode()[:SENSOR_ID_MAX].decode(errors="ignore")
    return Lane(name, int.from_bytes(os.urandom(8), "little"), 0)


def batch_age_ns(plan: Plan, settings: Settings) -> int:
    """Age at which a batch is closed: of a file on disk that is read at once, only where somebody asked for that."""
    asked = settings.origins["sensor.latency"] != "default"
    age_ns: int = settings["sensor.latency"]
    return age_ns if asked or plan.speed is not None or not plan.on_disk else NO_AGE_NS


def _spool_folder() -> Path:
    """Where a host keeps what programs must not lose."""
    if os.geteuid() == 0:
        return Path("/var/lib/synfin/spool")
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local/state") / "synfin/spool"


class KafkaDelivery:
    """Publisher and spool. A file is read in a spool of its own, which goes with the run: it can be read again."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        """Check the settings; TLS files are read here, while we may. Raises UsageError."""
        self._limits = Limits(batch_age_ns=batch_age_ns(plan, settings))
        if plan.file is not None:
            self._limits = replace(self._limits, finite=True, stall_s=CONNECTED_S / 3)  # while somebody still waits
        self._settings = settings
        self._topic: str = settings["topics.packets"]
        self._broker = KafkaBroker(BrokerConfig.of(settings, "synfin-sensor"))
        self._temporary: Path | None = None
        self.publisher: Publisher

    def open(self, who: Account | None) -> None:
        """Make the spool's folder, and give it to the user that the sensor is about to become."""
        chosen: Path | None = self._settings["sensor.spool"]
        if chosen is None and self._limits.finite:
            chosen = self._temporary = Path(tempfile.mkdtemp(prefix="synfin-spool-"))
        folder = chosen or _spool_folder()
        spool = Spool(folder, self._settings["sensor.spool_max"], self._settings["topics.partitions"])
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if who is not None:
                spool.hand_over(who.uid, who.gid)
        except OSError as error:
            raise UsageError(f"the spool {folder} cannot be made: {error.strerror}; name one with --spool") from None
        self.publisher = Publisher(self._broker, self._topic, spool, self._limits)

    def start(self) -> None:
        """Begin to publish. A file waits for the broker, which says how batches are to be sorted; BrokerError."""
        self.publisher.start()
        if self._limits.finite and not self.publisher.reach(CONNECTED_S):
            where = ",".join(self._settings["kafka.brokers"])
            raise BrokerError(f"{where} does not answer, so nothing was read: {self.publisher.trouble}")

    def close(self) -> int:
        """Deliver what waits, as long as it makes sense; the count of batches that were not delivered."""
        wait_s = CONNECTED_S if self._limits.finite or self.publisher.trouble is None else AWAY_S
        return self.publisher.close(wait_s)

    def clean_up(self) -> None:
        """End what an error left going, and remove a spool that was made for this run alone."""
        if hasattr(self, "publisher"):
            self.publisher.close(0)
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
