"""`lianxin signin` and `lianxin signins`: links into the workbench, and who is signed in."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import click

from lianxin_local.home import Home
from lianxin_local.keys import demo_keys_of
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.stack import require_stack

TIMEOUT_S = 10.0


@click.command()
@takes_data
@click.argument("person")
def signin(home: Home, person: str) -> None:
    """Print a link that signs PERSON, a deputy or member of staff, in to the workbench; it works once."""
    made = _ask(home, "POST", "/v1/signins", person=person)
    click.echo(made["link"])
    say(f"works once, within {made['valid_s'] // 60} minutes")


@click.group()
def signins() -> None:
    """Who is signed in to the workbench."""


@signins.command("list")
@takes_data
@click.argument("person", required=False)
def list_(home: Home, person: str | None) -> None:
    """Show sign-ins, newest first; of PERSON, or of everybody."""
    for one in _ask(home, "GET", "/v1/signins", **({"person": person} if person else {}))["items"]:
        state = f"revoked {one['revoked']}" if one["revoked"] else f"until {one['expires']}"
        click.echo(f"{one['id']}  {one['person']:<20} {one['created']}  {one['provider']}  {state}")


@signins.command()
@takes_data
@click.argument("which")
def revoke(home: Home, which: str) -> None:
    """End a sign-in by its id, or every sign-in of a person."""
    try:
        ended = _ask(home, "DELETE", f"/v1/signins/{urllib.parse.quote(which, safe='')}")
    except Problem as missing:
        if "session_unknown" not in missing.message:
            raise
        ended = _ask(home, "DELETE", "/v1/signins", person=which)
    say(f"{ended['revoked']} ended")


def _ask(home: Home, method: str, path: str, **query: str) -> Any:
    """What the notifier answers. Raises Problem with its code and title, or where it can't be reached."""
    address = f"{require_stack(home).url('notifier')}{path}"
    if query:
        address += f"?{urllib.parse.urlencode(query)}"
    key = demo_keys_of(home).staff
    request = urllib.request.Request(address, method=method, headers={"Authorization": f"Bearer {key}"})
    # Never by a proxy: the notifier is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            told = json.load(error)
        raise Problem(f"{told.get('code')}: {told.get('title')}") from None
    except urllib.error.URLError as error:
        raise Problem(f"the notifier does not answer at {address}: {error.reason}") from None
