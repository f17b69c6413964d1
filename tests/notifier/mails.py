"""What the tests of mail have in common: cases assigned to who has a mail address, and their records."""

from lianxin_contracts.deliveries import Delivery
from tests.notifier.lifecycles import SUBMITTED, History, assigned
from tests.notifier.topics import deliveries, write
from tests.support.brokers import Broker


def mails_of(broker: Broker, cases: list[History]) -> list[Delivery]:
    return [d for d in deliveries(broker.bootstrap, *(c.opinion for c in cases)) if d.channel == "mail"]


def ended(broker: Broker, cases: list[History], status: str = "sent") -> bool:
    done = {d.opinion for d in mails_of(broker, cases) if d.status == status}
    return done == {case.opinion for case in cases}


def assign(broker: Broker, count: int, who: str = "M1") -> list[History]:
    cases = [History() for _ in range(count)]
    write(broker.bootstrap, [r for case in cases for r in case.steps(SUBMITTED, assigned(who))])
    return cases
