"""`lianxin env`: where the stack is, as lines that a shell can take: `eval "$(lianxin env)"`."""

import shlex

import click

from lianxin_local.home import Home
from lianxin_local.keys import demo_keys_of
from lianxin_local.options import takes_data
from lianxin_local.stack import SERVICES, require_stack


@click.command()
@takes_data
def env(home: Home) -> None:
    """Print the services' addresses and the demo keys as shell variables."""
    stack = require_stack(home)
    keys = demo_keys_of(home)
    values = {service.upper(): stack.url(service) for service in SERVICES}
    values |= {"SUBMIT_KEY": keys.submit or "", "STAFF_KEY": keys.staff or ""}
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")
