"""Limits by rate, as intake's modules name them; what they are is in the chassis."""

from lianxin_chassis.rates import Buckets, retry_after

__all__ = ["Buckets", "retry_after"]
