"""`lianxin alert show`: who was told of an opinion, by what, and whether they have looked or acted."""

import json

import click

from lianxin_local.home import Home
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem
from lianxin_local.service_database import asked
from lianxin_local.stack import require_stack
from lianxin_notifier.alert_states import Alerted, alerted_about
from lianxin_notifier.delivery_documents import Made


@click.command()
@takes_data
@click.argument("opinion")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(home: Home, opinion: str, as_json: bool) -> None:
    """Everybody who was to be told of OPINION (its id): how the newest alert stands, and each delivery."""
    found = asked(require_stack(home), "notifier", lambda db: alerted_about(db, opinion))
    if not found:
        raise Problem(f"nobody was told of {opinion}: no such opinion, or it has not come so far")
    for one in found:
        click.echo(json.dumps(as_object(one)) if as_json else in_words(one))


def as_object(one: Alerted) -> dict[str, object]:
    """One receiver for programs. No addresses."""
    return {
        "receiver": one.receiver,
        "role": one.seat.role,
        "inbox": one.seat.state,
        "state": one.state,
        "deliveries": [
            {
                "alert": made.alert,
                "channel": made.name or made.kind,
                "again": made.again,
                "status": made.status,
                "at": made.at.isoformat(),
            }
            for made in one.deliveries
        ],
    }


def in_words(one: Alerted) -> str:
    """The same for a person."""
    head = f"{one.receiver:<8} {one.seat.role:<8} inbox {one.seat.state:<6} {one.state}"
    return "\n".join([head, *(f"  {_line(made)}" for made in one.deliveries)])


def _line(made: Made) -> str:
    again = f"  repeat {made.again}" if made.again else ""
    return f"{made.at:%Y-%m-%d %H:%M} UTC  {made.name or made.kind:<10} {made.status}{again}  {made.alert}"
