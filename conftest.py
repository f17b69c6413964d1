"""What holds for the tests of every package."""

from hypothesis import HealthCheck, settings

# A loaded machine makes no test wrong: nothing here is judged by the time that it takes.
settings.register_profile("lianxin", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lianxin")
