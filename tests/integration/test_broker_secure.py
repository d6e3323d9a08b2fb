"""TLS and SASL against a real broker: who is right gets in, who is wrong is told why, and no secret is shown."""

import shutil
import subprocess
from dataclasses import replace

import pytest

from deploy.broker import TrialBroker
from synfin.broker import EARLIEST, BrokerConfig, KafkaBroker, Record, TopicPartition, send_all
from synfin.errors import BrokerError, UsageError
from synfin.wire.topics import Topics

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl"),
]

SECRET = "correct-horse-battery"


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certificate(folder, name, authority=None):
    """Key and certificate, signed by the authority, or by itself."""
    key, cert = folder / f"{name}.key", folder / f"{name}.crt"
    subject = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    signed = ("-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key") if authority else ()
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, *subject, *signed, "-keyout", key, "-out", cert
    )
    return key, cert


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def secure(folder):
    """A broker with a listener of TLS that wants a user, and one of TLS that wants a certificate."""
    certificate(folder, "authority")
    certificate(folder, "stranger")
    key, cert = certificate(folder, "broker", "authority")
    certificate(folder, "client", "authority")
    keystore = folder / "broker.pem"
    keystore.write_text(key.read_text() + cert.read_text())
    tls = {"keystore.type": "PEM", "keystore.location": str(keystore)}
    tls |= {"truststore.type": "PEM", "truststore.location": str(folder / "authority.crt")}
    plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_sensor="{SECRET}";'
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    broker = TrialBroker(
        listeners={"USERS": "SASL_SSL", "CERTS": "SSL"},
        settings={
            **{f"ssl.{name}": value for name, value in tls.items()},
            "listener.name.certs.ssl.client.auth": "required",
            "listener.name.users.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.users.plain.sasl.jaas.config": plain,
            "listener.name.users.scram-sha-512.sasl.jaas.config": scram,
        },
    )
    try:
        broker.start()
        add_scram_user(broker.bootstrap)
        yield broker
    finally:
        broker.close()


def add_scram_user(bootstrap):
    from kafka import KafkaAdminClient
    from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.alter_user_scram_credentials([UserScramCredentialUpsertion("scrammer", ScramMechanism.SCRAM_SHA_512, SECRET)])
    admin.close()


@pytest.fixture
def users(secure, folder):
    return BrokerConfig(
        bootstrap=f"127.0.0.1:{secure.ports['USERS']}",
        security="SASL_SSL",
        ca_file=folder / "authority.crt",
        sasl_mechanism="PLAIN",
        sasl_user="sensor",
        sasl_password=SECRET,
        timeout_s=10,
    )


@pytest.fixture
def certs(secure, folder):
    return BrokerConfig(
        bootstrap=f"127.0.0.1:{secure.ports['CERTS']}",
        security="SSL",
        ca_file=folder / "authority.crt",
        cert_file=folder / "client.crt",
        key_file=folder / "client.key",
        timeout_s=10,
    )


def round_trip(config, prefix):
    """Create a topic, send and read, each through a client of its own."""
    topic = Topics(prefix, 1).events
    where = TopicPartition(topic.name, 0)
    broker = KafkaBroker(config)
    admin = broker.admin()
    admin.create([topic])
    admin.close()
    producer = broker.producer()
    send_all(producer, [Record(*where, None, b"hello")], 20)
    assert {address.remote_port for address in producer.addresses()} == {int(config.bootstrap.split(":")[1])}
    assert producer.close(10)
    consumer = broker.consumer({where: EARLIEST})
    found = []
    for _ in range(40):
        found += consumer.poll(0.5)
        if found:
            break
    consumer.close()
    assert [message.value for message in found] == [b"hello"]


@pytest.mark.parametrize(("mechanism", "user"), [("PLAIN", "sensor"), ("SCRAM-SHA-512", "scrammer")])
def test_a_user_with_the_right_password_gets_in(users, prefix, mechanism, user):
    round_trip(replace(users, sasl_mechanism=mechanism, sasl_user=user), prefix)


def test_a_certificate_of_the_authority_gets_in(certs, prefix):
    round_trip(certs, prefix)


@pytest.mark.parametrize("opening", ["producer", "admin"])
def test_a_wrong_password_is_said_to_be_one_and_is_not_shown(users, opening, caplog):
    config = replace(users, sasl_password="wrong-" + SECRET, timeout_s=3)
    with pytest.raises(BrokerError, match="user 'sensor'; check user, password and mechanism") as caught:
        getattr(KafkaBroker(config), opening)()
    assert SECRET not in str(caught.value) + repr(config) + caplog.text


def test_a_broker_of_another_authority_is_not_trusted(users, folder):
    config = replace(users, ca_file=folder / "stranger.crt", timeout_s=3)
    with pytest.raises(BrokerError, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        KafkaBroker(config).producer()


def test_a_broker_by_another_name_is_not_trusted(users):
    config = replace(users, bootstrap=users.bootstrap.replace("127.0.0.1", "127.0.0.2"), timeout_s=3)
    with pytest.raises(BrokerError):
        KafkaBroker(config).producer()


def test_without_a_certificate_where_one_is_wanted_nobody_gets_in(certs):
    with pytest.raises(BrokerError):
        KafkaBroker(replace(certs, cert_file=None, key_file=None, timeout_s=3)).producer()


def test_files_that_cannot_be_used_are_named_before_anything_is_asked(certs, folder):
    with pytest.raises(UsageError, match=r"missing\.crt"):
        KafkaBroker(replace(certs, ca_file=folder / "missing.crt")).producer()
