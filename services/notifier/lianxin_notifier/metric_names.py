"""Every metric of the notifier beside the chassis's; names are in docs/operations.md."""

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES = Counter(
    "lianxin_alert_deliveries_total",
    "Steps of alerts' deliveries that are on the log, by channel and status",
    ["channel", "status"],
)
ALERT_LATENCY = Histogram(
    "lianxin_alert_latency_seconds",
    "From the receipt of an opinion to its first assignment's standing in an inbox, seconds",
    buckets=(
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 43_200, 86_400
    ),
)  # fmt: skip
REPEATED = Counter(
    "lianxin_repeated_after_crash_total",
    "Attempts repeated because the outcome of the one before is unknown",
    ["channel"],
)
AGAIN = Counter("lianxin_alert_repeats_total", "Alerts queued once more: nobody had looked, nor acted")
ENDED = Counter(
    "lianxin_alerts_ended_total",
    "Alerts about which nothing more is done by outside channels, by how they ended",
    ["how"],
)
OPEN_STREAMS = Gauge("lianxin_alert_streams", "Open streams of alerts on this instance")
RESTING = Gauge(
    "lianxin_alert_breakers_open",
    "Open breakers on this worker, by channel: after many errors in a row it is tried now and then only",
    ["channel"],
)
NOTICES_LET_GO = Counter(
    "lianxin_notices_let_go_total",
    "Digests, summaries and reminders that were not sent because their time was too long past, by kind",
    ["kind"],
)
OIDC_FAULTS = Counter(
    "lianxin_oidc_faults_total",
    "Faults of the identity service by step: discovery, keys, token, userinfo; refused and logout: a"
    " token that is not believed",
    ["step"],
)
