"""`lianxin alert dead`: alerts that were given up, with the reason; sent once more when that is mended."""

import json
from datetime import UTC, datetime

import click

from lianxin_local.alert_show_command import show
from lianxin_local.home import Home
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.service_database import asked
from lianxin_local.stack import require_stack
from lianxin_notifier.alerts import OUTSIDE
from lianxin_notifier.delivery_store import DeadLetter, DeliveryStore

MOST_LISTED = 1_000

channel_option = click.option("--channel", type=click.Choice(OUTSIDE), help="Only this channel's.")


@click.group()
def alert() -> None:
    """Alerts to deputies."""


alert.add_command(show)


@alert.group()
def dead() -> None:
    """Alerts that were given up: list, and send once more (retry)."""


@dead.command("list")
@takes_data
@channel_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_command(home: Home, channel: str | None, as_json: bool) -> None:
    """The newest 1,000: whom it was for, by which channel, why it was given up. No addresses."""
    found = asked(
        require_stack(home), "notifier", lambda db: DeliveryStore(db).dead_letters(channel, MOST_LISTED)
    )
    for one in found:
        click.echo(json.dumps(as_object(one), ensure_ascii=False) if as_json else in_words(one))
    if not found:
        say("nothing was given up")


@dead.command()
@takes_data
@click.argument("alerts", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that can be sent and went by no other channel.")
@channel_option
def retry(home: Home, alerts: tuple[str, ...], everything: bool, channel: str | None) -> None:
    """Attempt ALERTS (ids from `list`) once more; what fails again is given up again."""
    if bool(alerts) == everything:
        raise Problem("name alerts, or give --all")
    chosen = None if everything else alerts
    count = asked(
        require_stack(home),
        "notifier",
        lambda db: DeliveryStore(db).revive(datetime.now(UTC), channel=channel, alerts=chosen),
    )
    click.echo(f"{count} queued; `lianxin alert dead list` shows those that are given up again")
    if alerts and count < len(set(alerts)):
        raise Problem(
            f"{len(set(alerts)) - count} can't be retried: unknown, not given up, or known "
            "from the log alone since the database was dropped"
        )


def as_object(one: DeadLetter) -> dict[str, object]:
    """A dead letter for programs."""
    return {
        "alert": one.alert,
        "channel": one.channel,
        "receiver": one.receiver,
        "opinion": one.opinion,
        "raised": one.raised.isoformat(),
        "attempts": one.attempt,
        "reason": one.error,
        "can_retry": one.whole,
        "went_on": one.gone_on,
    }


def in_words(one: DeadLetter) -> str:
    """The same for a person."""
    lost = "  (went on by another channel)" if one.gone_on else ""
    lost += "" if one.whole else "  (can't be retried)"
    return (
        f"{one.alert}  {one.channel:<8} {one.receiver:<8} {one.raised:%Y-%m-%d %H:%M} UTC  "
        f"{one.attempt} attempts: {one.error}{lost}"
    )
