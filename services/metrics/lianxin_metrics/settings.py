"""What metrics is told from outside, beside what every service is told. Read by `api` and `worker` only."""

from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from lianxin_chassis.settings import Settings


class MetricsSettings(Settings):
    """Environment variables `LIANXIN_*` of metrics."""

    service: str = "metrics"
    http_port: int = Field(default=8003, ge=0, le=65_535)
    # IANA name of the zone in which a report's days begin.
    zone: str = "Asia/Shanghai"
    # Reports computed at a time; the next ones wait. Each reads every case of its window.
    reports_at_once: int = Field(default=2, ge=1)

    # How long a rebuild goes on after the switch, until the restarted workers have taken over, seconds.
    rebuild_handover_s: float = Field(default=15.0, ge=0)

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        ZoneInfo(name)  # raises ZoneInfoNotFoundError, a KeyError
        return name
