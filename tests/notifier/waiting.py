"""Waiting with a deadline that a crowded machine can keep as well."""

from functools import partial

from tests.support import wait

eventually = partial(wait.eventually, timeout=60.0)
