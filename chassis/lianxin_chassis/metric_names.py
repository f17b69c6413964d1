"""Every metric of the chassis. Services add their own beside these; names are in docs/operations.md."""

from prometheus_client import Counter, Gauge, Histogram

CONSUMER_LAG = Gauge(
    "lianxin_consumer_lag",
    "Records between the group's committed offset and the broker's own end offset",
    ["group", "topic", "partition"],
)
DEAD_LETTERS = Counter(
    "lianxin_dead_letters_total",
    "Records put aside as dead letters, followers of a parked key included",
    ["topic", "reason"],
)
PARKED_KEYS = Gauge("lianxin_parked_keys", "Keys parked behind a dead letter, all partitions", ["topic"])
OUTAGES = Counter(
    "lianxin_outages_total",
    "Times that work was put off because the broker or the database was away",
    ["what"],
)
RESTARTS = Counter(
    "lianxin_consumer_restarts_total", "Times that the consumer's Kafka client was replaced", ["group", "why"]
)
BATCH_SECONDS = Histogram(
    "lianxin_batch_seconds",
    "Time from having a batch to its effects being durable, seconds",
    ["group"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
BATCH_SIZE = Histogram(
    "lianxin_batch_size", "Records in a batch", ["group"], buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
PUBLISHED = Counter("lianxin_published_total", "Records that the broker acknowledged", ["topic"])
UNCONFIRMED = Counter(
    "lianxin_unconfirmed_total", "Records that the broker had not acknowledged by the deadline", ["topic"]
)
FOLLOWER_CAUGHT_UP = Gauge(
    "lianxin_follower_caught_up",
    "1 when the follower has reached the end that it saw at its start",
    ["topic"],
)
READY = Gauge("lianxin_ready", "1 when every check of /readyz holds at the time of the scrape, else 0")
COUNTED_OPINIONS = Gauge(
    "lianxin_counted_opinions", "Distinct opinions, counted by the service that owns the figure", ["what"]
)
PROJECTION_GAPS = Counter(
    "lianxin_projection_gap_total",
    "Times that a projection held a case at a gap in its sequence",
    ["projection"],
)
