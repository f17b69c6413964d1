"""What a process of Lianxin is told from outside: environment variables with the prefix `LIANXIN_`.

A service subclasses `Settings` with its own fields and sets `service`. Only a service's main module reads
settings; everything else is handed values.
"""

import ipaddress
import os
import socket
import ssl
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _this_process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Settings(BaseSettings):
    """Settings that every service has. Raises pydantic's ValidationError when made from bad values."""

    model_config = SettingsConfigDict(env_prefix="LIANXIN_", extra="ignore", frozen=True)

    service: str
    instance: str = Field(default_factory=_this_process)

    kafka_bootstrap: str = "127.0.0.1:8092"
    # Off only for a broker without idempotent producers (the laptop's stand-in).
    kafka_idempotent: bool = True
    kafka_replication: int = Field(default=1, ge=1)
    # How long the broker may hold a fetch that finds nothing, ms. Kafka answers as soon as there is data;
    # the laptop's stand-in only when this time is over, so it wants about 5 there.
    kafka_fetch_max_wait_ms: int = Field(default=500, ge=1)
    kafka_session_timeout_ms: int = Field(default=30_000, ge=1_000)
    kafka_heartbeat_ms: int = Field(default=3_000, ge=100)
    kafka_rebalance_timeout_ms: int = Field(default=60_000, ge=1_000)
    # How long the publisher waits for more records before it sends, ms. 0 measured best for request paths.
    kafka_linger_ms: int = Field(default=0, ge=0, le=100)
    # A StatefulSet's pod name here makes restarts cheap (static membership, KIP-345).
    kafka_group_instance: str | None = None
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_cafile: str | None = None

    mongo_url: str = "mongodb://127.0.0.1:8017"
    mongo_database: str = ""
    # Off where one server stands alone: it then need not remember what it has answered.
    mongo_retry_writes: bool = True

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65_535)
    # Whose X-Forwarded-For is believed: addresses and networks of the proxies in front, by commas. Without it
    # everybody behind an ingress is one address to the limits; with too much, anybody may choose theirs.
    trusted_proxies: str = "127.0.0.1,::1"
    public_url: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        """Uvicorn takes what is no network for a name, and then trusts nobody without a word."""
        for part in filter(None, (part.strip() for part in value.split(","))):
            ipaddress.ip_network(part)
        return value

    @property
    def database_name(self) -> str:
        """The service's own database: `mongo_database`, else `lianxin_{service}`."""
        return self.mongo_database or f"lianxin_{self.service}"

    def kafka_client(self) -> dict[str, Any]:
        """The options that every Kafka client of this process takes: where the broker is and who we are."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap,
            "client_id": f"{self.service}-{self.instance}",
            "security_protocol": self.kafka_security_protocol,
        }
        if self.kafka_security_protocol in ("SSL", "SASL_SSL"):
            options["ssl_context"] = ssl.create_default_context(cafile=self.kafka_cafile)
        if self.kafka_security_protocol.startswith("SASL"):
            password = self.kafka_sasl_password
            options["sasl_mechanism"] = self.kafka_sasl_mechanism
            options["sasl_plain_username"] = self.kafka_sasl_username
            options["sasl_plain_password"] = password.get_secret_value() if password else None
        return options
