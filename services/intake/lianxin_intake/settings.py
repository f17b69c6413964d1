"""What intake is told from outside, beside what every service is told. Read by `api` and `worker` only."""

from pydantic import Field, SecretStr

from lianxin_chassis.settings import Settings


class IntakeSettings(Settings):
    """Environment variables `LIANXIN_*` of intake. The two secrets have no default: a made-up one would hand
    out tracking codes that the next start does not know."""

    service: str = "intake"

    # The key of the HMAC behind tracking codes, digests and signed ids. Changing it voids every code
    # given out.
    tracking_secret: SecretStr = Field(min_length=16)
    # Curve25519 public key in base64; only the notifier has the private half.
    contact_public_key: str

    # How long a request waits for the broker before it is answered with 503, seconds.
    publish_deadline_s: float = Field(default=5.0, gt=0)
    # Accepted opinions per second and channel key, and how many may come at once: on all instances together.
    rate_per_second: float = Field(default=10_000.0, gt=0)
    rate_burst: float = Field(default=20_000.0, ge=1)
    # How many instances share a key's limit while the database, which tells them, is away.
    rate_instances: int = Field(default=1, ge=1)
    # Wrong tracking codes per minute and address, and how many may come at once: an office or a carrier may
    # stand behind one address. Guessing 60 bits is hopeless anyway; this keeps it cheap.
    wrong_codes_per_minute: float = Field(default=30.0, gt=0)
    wrong_codes_burst: float = Field(default=60.0, ge=1)
    # What whoever holds a right code may do with that opinion on this instance: a page that refreshes itself
    # reads every few seconds; nobody rates, withdraws or erases often, and a refused try stays on the log.
    code_reads_per_minute: float = Field(default=120.0, gt=0)
    code_reads_burst: float = Field(default=120.0, ge=1)
    code_commands_per_minute: float = Field(default=1.0, gt=0)
    code_commands_burst: float = Field(default=30.0, ge=1)
    # Opinions by page per minute and address, and how many may come at once: a station's visitors share one.
    page_posts_per_minute: float = Field(default=30.0, gt=0)
    page_posts_burst: float = Field(default=60.0, ge=1)
    # How many accepted ids are remembered to tell a repeat from a conflict at once; about 350 bytes each.
    remembered_opinions: int = Field(default=50_000, ge=1)
    # How long a rebuild goes on after the switch, until the workers have taken over its group, seconds.
    rebuild_handover_s: float = Field(default=15.0, ge=0)
