"""What a drive came to, said by the log and by the operator's figures: counts, and a verdict by check."""

from collections.abc import Mapping
from typing import Any

from lianxin_contracts import topics
from tests.end_to_end import checks
from tests.end_to_end.ledger import Ledger
from tests.end_to_end.log import Log
from tests.faults import afterwards

# What becomes of an opinion, and the event on its lifecycle that says so.
STEPS = {
    "submitted": "opinion.submitted",
    "assigned": "opinion.assigned",
    "accepted": "opinion.accepted",
    "answered": "opinion.answered",
    "resolved": "opinion.resolved",
    "rated": "opinion.rated",
    "reopened": "opinion.reopened",
    "closed": "opinion.closed",
}


def verdicts(log: Log, ledger: Ledger, status: Mapping[str, Any]) -> dict[str, checks.Problems]:
    """What is wrong, by check; nothing where the check holds. The log and the figures are of the whole stack,
    the ledger of this drive."""
    return {
        **{name: check(log, ledger) for name, check in checks.OF_LOG_AND_LEDGER.items()},
        "every assignment was alerted": afterwards.every_assignment_was_alerted(log),
        "every alert has one number": afterwards.every_alert_has_one_number(log),
        "submitted = assigned + triage, alerted = assigned, as the log says": checks.counts_agree(
            status, log
        ),
    }


def counts(log: Log, ledger: Ledger) -> dict[str, int]:
    """Of the opinions in the ledger: how many have ever come to each step, by the log. `triage` are those
    that no deputy has ever had, `alerted` those of which an alert is on record."""
    told = {id_: events for id_, events in checks.histories(log).items() if id_ in ledger.opinions}
    types = {id_: {event.type for event in events} for id_, events in told.items()}
    alerted = {one.opinion for one in afterwards.deliveries(log) if one.channel == "inbox"}
    return {
        **{step: sum(type_ in seen for seen in types.values()) for step, type_ in STEPS.items()},
        "triage": sum(STEPS["assigned"] not in seen for seen in types.values()),
        "alerted": sum(id_ in alerted and STEPS["assigned"] in seen for id_, seen in types.items()),
    }


def everything_but_the_city() -> list[str]:
    """The topics that the checks read."""
    return [name for name in topics.BY_NAME if name != topics.REGISTRY]
