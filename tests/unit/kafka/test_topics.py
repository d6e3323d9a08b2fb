"""Names and settings of the topics, and how a broker is described by the settings of a command."""

import ssl

import pytest

from synfin.broker import BrokerConfig, Description
from synfin.config import resolve
from synfin.errors import UsageError
from synfin.topics_cli import _differences
from synfin.wire.topics import Topic, Topics

DAY_MS = 86_400_000


def test_the_topics_are_those_that_users_were_promised():
    table = {
        topic.name: (topic.partitions, topic.settings["cleanup.policy"], topic.settings.get("retention.ms"))
        for topic in Topics().all()
    }
    assert table == {
        "synfin.packets.v1": (24, "delete", str(DAY_MS // 4)),
        "synfin.events.v1": (24, "delete", str(7 * DAY_MS)),
        "synfin.flows.v1": (24, "delete", str(7 * DAY_MS)),
        "synfin.state.v1": (24, "compact", None),
        "synfin.counts.v1": (24, "delete", str(DAY_MS)),
        "synfin.alerts.v1": (6, "delete", str(30 * DAY_MS)),
        "synfin.sensors.v1": (1, "compact", None),
        "synfin.deadletter.v1": (1, "delete", str(14 * DAY_MS)),
    }
    for topic in (Topics().packets, Topics().counts):  # by whose log sensors and partitions are declared gone
        assert topic.settings["message.timestamp.type"] == "LogAppendTime"
    assert int(Topics().state.settings["max.message.bytes"]) > 16 << 20
    # What does not decode must fit with its headers, whatever its own topic took.
    assert int(Topics().deadletter.settings["max.message.bytes"]) > 1_048_588


def test_prefix_and_count_are_everywhere():
    topics = Topics("other", 48)
    assert all(topic.name.startswith("other.") for topic in topics.all())
    assert {topic.partitions for topic in topics.all()} == {48, 6, 1}


@pytest.mark.parametrize("count", [0, -1, 5, 7, 385, 768])
def test_a_count_that_does_not_divide_the_slices_is_refused(count):
    with pytest.raises(UsageError, match="do not divide 384"):
        Topics(partitions=count)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, ["missing"]),
        (Description(24, 1, {"a": "1", "more": "x"}), []),
        (Description(24, 3, {"a": "1"}), []),
        (Description(12, 1, {"a": "1"}), ["12 partitions, wanted 24"]),
        (Description(24, 0, {"a": "1"}), ["0 replicas, wanted 1"]),
        (Description(24, 1, {"a": "2"}), ["a=2, wanted 1"]),
        (Description(24, 1, {}), ["a=unknown, wanted 1"]),
    ],
)
def test_every_difference_is_told(found, words):
    assert _differences(Topic("t", 24, {"a": "1"}), found, 1) == words


def test_the_settings_of_a_command_describe_the_broker(tmp_path):
    flags = {"kafka.brokers": "a:1,b:2", "kafka.security": "sasl_ssl", "kafka.username": "me", "config": None}
    settings = resolve("topics", flags, {"SYNFIN_KAFKA_PASSWORD": "hush"})
    config = BrokerConfig.of(settings, "synfin-topics")
    assert config.servers() == ["a:1", "b:2"]
    assert (config.security, config.sasl_mechanism, config.sasl_user) == ("SASL_SSL", "SCRAM-SHA-512", "me")
    assert config.sasl_password == "hush"
    assert "hush" not in repr(config)
    assert isinstance(config.tls(), ssl.SSLContext)
    assert config.tls().verify_mode is ssl.CERT_REQUIRED
    assert config.tls().check_hostname


def test_without_tls_there_is_no_context():
    assert BrokerConfig().tls() is None
    assert BrokerConfig(security="SASL_PLAINTEXT", sasl_user="u").tls() is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"security": "TLS"}, "'TLS' is none of PLAINTEXT SSL"),
        ({"security": "SASL_SSL"}, "needs a SASL user"),
        ({"security": "SASL_SSL", "sasl_user": "u", "sasl_mechanism": "GSSAPI"}, "'GSSAPI' is none of PLAIN SCRAM"),
    ],
)
def test_what_cannot_be_is_a_usage_error(settings, words):
    with pytest.raises(UsageError, match=words):
        BrokerConfig(**settings)


def test_a_password_never_stands_in_the_repr():
    assert "hush" not in repr(
        BrokerConfig(security="SASL_SSL", sasl_user="u", sasl_password="hush", key_password="hush")
    )


def test_a_file_that_is_no_certificate_is_named(tmp_path):
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing")
    with pytest.raises(UsageError, match=str(wrong)):
        BrokerConfig(security="SSL", ca_file=wrong).tls()
