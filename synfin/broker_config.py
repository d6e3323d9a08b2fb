"""Where Kafka is and how to speak with it, for every client: kafka-python's behind `synfin.broker`, and Faust's."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from synfin.config import Settings
from synfin.errors import UsageError

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """Where Kafka is and how to speak with it. Secrets stand in no repr and in no message."""

    bootstrap: str = "localhost:9092"  # host:port, several separated by commas
    security: str = "PLAINTEXT"  # one of PROTOCOLS
    ca_file: Path | None = None  # None: what the system trusts
    cert_file: Path | None = None  # the client's own, where the broker asks for one
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    sasl_mechanism: str = "SCRAM-SHA-512"  # one of MECHANISMS, where security is SASL_...
    sasl_user: str = ""
    sasl_password: str = field(default="", repr=False)
    client_id: str = "synfin"
    timeout_s: float = 30.0  # how long opening a client may wait for a broker

    def __post_init__(self) -> None:
        if self.security not in PROTOCOLS:
            raise UsageError(f"security protocol {self.security!r} is none of {' '.join(PROTOCOLS)}")
        if self.security.startswith("SASL"):
            if self.sasl_mechanism not in MECHANISMS:
                raise UsageError(f"SASL mechanism {self.sasl_mechanism!r} is none of {' '.join(MECHANISMS)}")
            if not self.sasl_user:
                raise UsageError(f"security {self.security} needs a SASL user")

    @classmethod
    def of(cls, settings: Settings, client_id: str = "synfin") -> Self:
        """What the table of settings says of Kafka, for a command that has those rows."""
        return cls(
            bootstrap=",".join(settings["kafka.brokers"]),
            security=settings["kafka.security"].upper(),
            ca_file=settings["kafka.ca_file"],
            cert_file=settings["kafka.cert_file"],
            key_file=settings["kafka.key_file"],
            key_password=settings["kafka.key_password"],
            sasl_mechanism=settings["kafka.sasl_mechanism"].upper(),
            sasl_user=settings["kafka.username"] or "",
            sasl_password=settings["kafka.password"] or "",
            client_id=client_id,
            timeout_s=settings["kafka.timeout"] / 10**9,
        )

    def servers(self) -> list[str]:
        """Addresses to begin with."""
        return [server.strip() for server in self.bootstrap.split(",") if server.strip()]

    def tls(self) -> ssl.SSLContext | None:
        """Context for TLS with the broker's certificate verified, None where TLS is not used."""
        if not self.security.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file, self.key_password)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(file) for file in (self.ca_file, self.cert_file, self.key_file) if file)
            raise UsageError(f"TLS cannot be set up from {files}: {error}") from None
        return context
