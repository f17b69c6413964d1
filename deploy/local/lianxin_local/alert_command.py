"""`lianxin alert dead`: alerts that were given up, with the reason; sent once more when that is mended.
`lianxin alert preview`: the words of every message."""

import json
from datetime import UTC, datetime
from typing import Literal

import click

from lianxin_local.alert_show_command import show
from lianxin_local.home import Home
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.service_database import asked
from lianxin_local.stack import require_stack
from lianxin_notifier.alerts import OUTSIDE
from lianxin_notifier.delivery_documents import DeadLetter
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.previews import preview as written
from lianxin_notifier.previews import preview_names
from lianxin_notifier.wording import LANGUAGES, Letter

MOST_LISTED = 1_000

channel_option = click.option("--channel", type=click.Choice(OUTSIDE), help="Only this channel's.")


@click.group()
def alert() -> None:
    """Alerts to deputies, and messages to residents."""


@alert.command()
@click.argument("kind", required=False)
@click.option("--language", type=click.Choice(["zh", "en"]), help="Only this one; else both.")
@click.option("--channel", type=click.Choice(["mail", "chat", "sms"]), default="mail", show_default=True)
def preview(
    kind: str | None, language: Literal["zh", "en"] | None, channel: Literal["mail", "chat", "sms"]
) -> None:
    """Every message that can be sent, or those whose name holds KIND, with made-up data."""
    chosen = [name for name in preview_names() if kind is None or kind in name]
    if not chosen:
        raise Problem(f"no message's name holds {kind!r}; there are: {', '.join(preview_names())}")
    for name in chosen:
        for one in [language] if language else LANGUAGES:
            if (message := written(name, one, channel)) is not None:
                click.echo(f"== {name} {one} {channel}\n{shown(message, channel)}\n")


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


def shown(message: Letter, channel: str) -> str:
    """A message as it arrives: a mail's subject stands apart."""
    return f"{message.subject}\n\n{message.text}" if channel == "mail" else message.whole


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
