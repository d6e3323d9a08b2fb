"""A real broker for the tests that need one: SYNFIN_TEST_BOOTSTRAP, else a node of our own for the session.

Where neither works the tests fail. Each test has topics of its own through a prefix, so that none sees another's.
"""

import gc
import os
import threading
import uuid
from dataclasses import dataclass

import pytest

from deploy.broker import TrialBroker, TrialError
from synfin.broker import BrokerConfig, KafkaBroker
from synfin.wire.topics import Topics

# kafka-python forgets to close the socket of a connection that is refused; it is closed when it is collected.
LEAK = pytest.mark.filterwarnings("ignore:unclosed <(socket|ssl):ResourceWarning")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("kafka"):
            item.add_marker(LEAK)


@pytest.fixture(autouse=True)
def collected(caplog):
    """Collect a test's forgotten sockets while its own filter of warnings holds, and not in a later test."""
    yield
    for phase in ("setup", "call"):
        caplog.get_records(phase).clear()  # they hold the sockets through an error's traceback
    for thread in threading.enumerate():
        if thread.name in {"broker-open", "broker-close"}:  # a publisher was closed while it looked for a broker
            thread.join(30)
    gc.collect()


@dataclass(frozen=True, slots=True)
class Kafka:
    """What a test needs to know of the broker."""

    bootstrap: str

    @property
    def config(self):
        return BrokerConfig(bootstrap=self.bootstrap, timeout_s=20)

    @property
    def broker(self):
        return KafkaBroker(self.config)


@pytest.fixture(scope="session")
def kafka():
    """The broker that all tests of the session share: none may stop it."""
    given = os.environ.get("SYNFIN_TEST_BOOTSTRAP")
    if given:
        yield Kafka(given)
        return
    try:
        broker = TrialBroker()
        broker.start()
    except TrialError as error:
        pytest.fail(f"no broker for the tests, and --no-kafka was not given: {error}")
    try:
        yield Kafka(broker.bootstrap)
    finally:
        broker.close()


@pytest.fixture
def own_kafka():
    """A broker of the test's own, inert, to be started, stopped, killed and paused."""
    broker = TrialBroker()
    try:
        yield broker
    finally:
        broker.close()


@pytest.fixture
def prefix():
    """Prefix of the test's own topics."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topics(kafka, prefix):
    """All topics under the test's prefix with two partitions, made before and deleted after."""
    ours = Topics(prefix=prefix, partitions=2)
    admin = kafka.broker.admin()
    try:
        admin.create(ours.all())
        yield ours
        admin.delete(topic.name for topic in ours.all())
    finally:
        admin.close()
