"""What makes the stack: its processes, their addresses and their environment."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lianxin_local import tansu
from lianxin_local.home import Home, read_json, write_json
from lianxin_local.kafka import Kafka
from lianxin_local.keys import Secrets, secrets_of
from lianxin_local.ports import DEFAULT_BASE, ports_from
from lianxin_local.problem import Problem
from lianxin_local.secantus import ENVIRONMENT as SECANTUS_ENVIRONMENT
from lianxin_local.secantus import secantus_command
from lianxin_local.tansu import tansu_command

BrokerKind = Literal["kafka", "tansu", "external"]
SERVICES = ("intake", "router", "notifier", "metrics")
SERVICE_PROCESSES = (
    "intake.api",
    "intake.worker",
    "intake.mail",
    "router.worker",
    "notifier.api",
    "notifier.worker",
    "metrics.api",
    "metrics.worker",
)
# Set for each process by the stack; a value for all of them would make no sense.
PER_PROCESS = (
    "LIANXIN_HTTP_PORT",
    "LIANXIN_INSTANCE",
    "LIANXIN_DATA_DIR",
    "LIANXIN_STACK",
    "LIANXIN_PROCESS",
)
# Where mail comes in, and the channel of the sample city behind it (docs/mail.md).
MAIL_ADDRESSES = {"opinions@localhost": "mail"}
# Who may know which secret.
PRIVATE = {
    "LIANXIN_TRACKING_SECRET": ("intake",),
    "LIANXIN_CONTACT_PUBLIC_KEY": ("intake",),
    "LIANXIN_CONTACT_PRIVATE_KEY": ("notifier",),
    "LIANXIN_LINK_SECRET": ("intake", "notifier"),
    "LIANXIN_WEBHOOK_SECRET": ("notifier",),
    "LIANXIN_SIGNIN_SECRET": ("notifier",),
    "LIANXIN_OIDC_CLIENT_SECRET": ("notifier",),
    "LIANXIN_PUSH_PRIVATE_KEY": ("notifier",),
    "LIANXIN_WECOM_APP": ("notifier",),
    "LIANXIN_ISSUE_SECRET": ("router",),
    "LIANXIN_SMTP_PASSWORD": ("notifier",),
}


@dataclass(frozen=True, slots=True)
class Process:
    """One process that the supervisor keeps running."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    # How long it may take to stop before it is killed, s.
    patience: int = 30


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack as it was chosen: what is needed to find it again."""

    home: Home
    port_base: int
    broker: BrokerKind
    bootstrap: str
    database_url: str

    @property
    def ports(self) -> dict[str, int]:
        """The port of every process."""
        return ports_from(self.port_base)

    @property
    def own_database(self) -> bool:
        """Whether the database is a process of this stack."""
        return self.database_url == own_database_url(self.port_base)

    def url(self, service: str) -> str:
        """A service's public address."""
        return self.process_url("router.worker" if service == "router" else f"{service}.api")

    def process_url(self, process: str) -> str:
        """Where a process answers about itself."""
        return f"http://127.0.0.1:{self.ports[process]}"

    def own_infrastructure(self) -> list[str]:
        """The broker and the database, where they are processes of this stack."""
        broker = [] if self.broker == "external" else ["broker"]
        return broker + (["database"] if self.own_database else [])

    def save(self) -> None:
        """Write down what every other command needs to find the stack."""
        write_json(
            self.home.stack,
            {
                "port_base": self.port_base,
                "ports": self.ports,
                "broker": {"kind": self.broker, "bootstrap": self.bootstrap},
                "database": {"url": self.database_url},
                "services": {service: self.url(service) for service in SERVICES},
            },
        )


def saved_stack(home: Home) -> Stack | None:
    """The stack that was last started there."""
    kept = read_json(home.stack)
    if kept is None:
        return None
    try:
        broker, database = kept["broker"], kept["database"]
        return Stack(home, kept["port_base"], broker["kind"], broker["bootstrap"], database["url"])
    except (KeyError, TypeError):
        raise Problem(f"{home.stack} is damaged: remove it and start again with lianxin up") from None


def require_stack(home: Home) -> Stack:
    """The stack there, or the advice to start one."""
    stack = saved_stack(home)
    if stack is None:
        raise Problem(
            f"no stack in {home.root}: start one with lianxin up, or name its place with --data DIR"
        )
    return stack


def own_database_url(port_base: int) -> str:
    """Where this stack's own database listens."""
    return f"mongodb://127.0.0.1:{ports_from(port_base)['database']}"


def choose(home: Home, broker: BrokerKind, port_base: int | None) -> Stack:
    """The stack to start: what was asked for, else as it was, else the defaults."""
    before = saved_stack(home)
    base = port_base or (before.port_base if before else DEFAULT_BASE)
    bootstrap = f"127.0.0.1:{ports_from(base)['broker']}"
    if broker == "external":
        kept = before.bootstrap if before and before.broker == "external" else ""
        bootstrap = os.environ.get("LIANXIN_KAFKA_BOOTSTRAP", kept)
        if not bootstrap:
            raise Problem(
                "--broker external needs LIANXIN_KAFKA_BOOTSTRAP=host:port in the environment", code=2
            )
        require_addresses(bootstrap)
    database_url = own_database_url(base)
    if given := os.environ.get("LIANXIN_MONGO_URL"):
        require_database_url(given)
        database_url = given
    return Stack(home, base, broker, bootstrap, database_url)


def require_addresses(bootstrap: str) -> None:
    """Refuse what is not host:port, or several of that with commas between."""
    for one in bootstrap.split(","):
        host, _, port = one.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise Problem(f"LIANXIN_KAFKA_BOOTSTRAP must be host:port[,host:port], not {bootstrap!r}", code=2)


def require_database_url(url: str) -> None:
    """Refuse what a MongoDB client can't read. The message does not repeat it: it may hold a password."""
    from pymongo.errors import PyMongoError  # 0.2 s, which only an address of one's own costs
    from pymongo.uri_parser import parse_uri

    try:
        parse_uri(url)
    except (PyMongoError, ValueError) as error:
        raise Problem(f"LIANXIN_MONGO_URL is no address of a MongoDB: {error}", code=2) from None


def infrastructure(stack: Stack) -> list[Process]:
    """Broker and database, made ready to run."""
    processes = []
    ports = stack.ports
    marks = {"LIANXIN_STACK": str(stack.home.root)}
    if stack.broker == "kafka":
        kafka = Kafka.at(stack.home.broker, ports["broker"], ports["broker.controller"])
        kafka.prepare()
        processes.append(Process("broker", kafka.command(), marks, patience=60))
    elif stack.broker == "tansu":
        processes.append(Process("broker", tansu_command(ports["broker"]), marks, patience=10))
    if stack.own_database:
        command = secantus_command(stack.home.database, ports["database"])
        processes.append(Process("database", command, marks | SECANTUS_ENVIRONMENT, patience=60))
    return processes


def services(stack: Stack) -> list[Process]:
    """The four services' processes."""
    known = secrets_of(stack.home)
    return [
        Process(name, [sys.executable, "-m", f"lianxin_{name}"], environment(stack, name, known))
        for name in SERVICE_PROCESSES
    ]


def environment(stack: Stack, process: str, known: Secrets) -> dict[str, str]:
    """What one service process is told. What the caller has set wins."""
    service = process.split(".")[0]
    told = {
        "LIANXIN_KAFKA_BOOTSTRAP": stack.bootstrap,
        "LIANXIN_KAFKA_REPLICATION": "1",
        "LIANXIN_KAFKA_IDEMPOTENT": "false" if stack.broker == "tansu" else "true",
        # So long nobody works in a killed worker's place, though the supervisor has started it again at once.
        "LIANXIN_KAFKA_SESSION_TIMEOUT_MS": "10000",
        "LIANXIN_MONGO_URL": stack.database_url,
        "LIANXIN_MONGO_RETRY_WRITES": str(not stack.own_database).lower(),
        "LIANXIN_HTTP_HOST": "127.0.0.1",
        "LIANXIN_PUBLIC_URL": stack.url(service),
        "LIANXIN_INTAKE_URL": stack.url("intake"),
        "LIANXIN_NOTIFIER_URL": stack.url("notifier"),
        "LIANXIN_MAIL_PORT": str(stack.ports["smtp"]),
        "LIANXIN_MAIL_ADDRESSES": json.dumps(MAIL_ADDRESSES),
        "LIANXIN_TRACKING_SECRET": known.tracking,
        "LIANXIN_LINK_SECRET": known.link,
        "LIANXIN_WEBHOOK_SECRET": known.webhook,
        "LIANXIN_SIGNIN_SECRET": known.signin,
        "LIANXIN_PUSH_PRIVATE_KEY": known.push,
        "LIANXIN_ISSUE_SECRET": known.issue,
        "LIANXIN_CONTACT_PUBLIC_KEY": known.contact_public,
        "LIANXIN_CONTACT_PRIVATE_KEY": known.contact_private,
        "PYTHONUNBUFFERED": "1",
    }
    if stack.broker == "tansu":
        told["LIANXIN_KAFKA_FETCH_MAX_WAIT_MS"] = str(tansu.FETCH_MAX_WAIT_MS)
    told |= {name: value for name, value in os.environ.items() if name.startswith("LIANXIN_")}
    told |= {
        "LIANXIN_HTTP_PORT": str(stack.ports[process]),
        "LIANXIN_INSTANCE": process,
        "LIANXIN_DATA_DIR": str(stack.home.root),
        "LIANXIN_STACK": str(stack.home.root),
    }
    return {name: value for name, value in told.items() if service in PRIVATE.get(name, (service,))}


def sample_city() -> Path:
    """The sample registry that comes with the repository."""
    return Path(__file__).parents[3] / "registry" / "wuxi-sample"
