"""What intake is told from outside, beside what every service is told. Read by `api` and `worker` only."""

from pydantic import Field, SecretStr

from lianxin_chassis.settings import Settings
from lianxin_intake.wechat.accounts import WechatAccount


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
    # Photos per minute, by channel key and, from pages, by address; and how many may come at once.
    photos_per_minute: float = Field(default=120.0, gt=0)
    photos_burst: float = Field(default=240.0, ge=1)
    # The key behind links that open a photo for a while and permits to upload evidence; the notifier has it
    # too. Empty: no link opens one, no permit is good.
    link_secret: SecretStr = SecretStr("")
    # Where browsers reach the notifier: its pages, and no other site's, may upload by a permit.
    notifier_url: str = ""
    # How long an upload is kept that no opinion names, hours.
    unnamed_photos_hours: float = Field(default=24.0, gt=0)
    # How many accepted ids are remembered to tell a repeat from a conflict at once; about 350 bytes each.
    remembered_opinions: int = Field(default=50_000, ge=1)
    # How long a rebuild goes on after the switch, until the workers have taken over its group, seconds.
    rebuild_handover_s: float = Field(default=15.0, ge=0)

    # WeChat Official Accounts by the channel that they are in the registry, as a JSON object: docs/wechat.md.
    wechat: dict[str, WechatAccount] = Field(default_factory=dict)
    wechat_api: str = "https://api.weixin.qq.com"
    # Where the address that a message gives for its picture may lead, subdomains included.
    wechat_picture_hosts: tuple[str, ...] = ("qpic.cn",)

    # Mail: where the listener is, and the channel behind each address, as a JSON object: docs/mail.md.
    mail_host: str = "127.0.0.1"
    mail_port: int = Field(default=8025, ge=0, le=65_535)
    mail_name: str = "localhost"
    mail_addresses: dict[str, str] = Field(default_factory=dict)
    # Of a whole mail in transport form: nine photos of a phone, and a third more by base64.
    mail_max_bytes: int = Field(default=32 * 1024 * 1024, ge=64 * 1024)
    # Who takes the receipts; without one none are sent.
    mail_relay_host: str = ""
    mail_relay_port: int = Field(default=25, ge=1, le=65_535)
