"""What the notifier is told from outside, beside what every service is told. Read by `api`, `worker` and
`rebuild`'s entry only."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from lianxin_chassis.settings import Settings
from lianxin_notifier.oidc.addresses import may_be_asked
from lianxin_notifier.oidc.tokens import KEY_TYPES


class NotifierSettings(Settings):
    """Environment variables `LIANXIN_*` of the notifier."""

    service: str = "notifier"

    # Curve25519 private key in base64; nobody else has it. Empty: contacts can't be revealed here.
    contact_private_key: SecretStr = SecretStr("")
    # How long an opened contact may be shown after its `contact.revealed` was recorded, minutes.
    contact_reveal_minutes: float = Field(default=15.0, gt=0)

    # Intake keeps the photos: where browsers reach it, and the secret of links to photos, which intake knows
    # too. Without both, cases are shown without their photos.
    intake_url: str = ""
    link_secret: SecretStr = SecretStr("")

    # The key of the HMAC behind sign-in links and forms. Empty: nobody can sign in here.
    signin_secret: SecretStr = SecretStr("")
    # How long a link in an alert signs in, and one that was asked for, minutes.
    alert_link_minutes: float = Field(default=24 * 60.0, gt=0)
    asked_link_minutes: float = Field(default=20.0, gt=0)
    # After this long a person signs in anew, days.
    signin_days: float = Field(default=14.0, gt=0)
    # Links that may be asked for per hour: by one address, and for one name.
    links_per_hour_address: float = Field(default=30.0, gt=0)
    links_per_hour_person: float = Field(default=5.0, gt=0)

    # A city's own identity service, OpenID Connect: docs/workbench.md. Empty: links are the only
    # way to sign in.
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    # Empty: a public client, which PKCE alone protects.
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_scopes: str = "openid profile email"
    # Which claim says who somebody is, and whether it holds the registry's id or a registered mail address.
    oidc_claim: str = "preferred_username"
    oidc_claim_holds: Literal["id", "mail"] = "id"
    # The service lets nobody choose their own address: `email_verified` is not asked for.
    oidc_unverified_mail: bool = False
    # What the button calls it, such as 无锡政务统一身份认证. Empty: a general name.
    oidc_name: str = Field(default="", max_length=60)
    # What it may sign with, by commas.
    oidc_algorithms: str = "RS256,PS256,ES256,EdDSA"
    # Hosts (by commas) that may be asked by plain http; this machine always may.
    oidc_plain_hosts: str = ""
    # Certificates that vouch for it, where public ones don't.
    oidc_cafile: str = ""
    # How long one question to it may take, how far its clock may be off, how long what it says of
    # itself holds, seconds.
    oidc_deadline_s: float = Field(default=8.0, gt=0)
    oidc_skew_s: float = Field(default=60.0, ge=0, le=600)
    oidc_refresh_s: float = Field(default=3600.0, gt=0)

    # Empty: no mail server is known, and mail is recorded as `skipped`.
    smtp_host: str = ""
    smtp_port: int = Field(default=25, ge=1, le=65_535)
    smtp_tls: Literal["none", "starttls", "tls"] = "none"
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_from: str = "lianxin@localhost"
    # Open connections, each with at most one message in flight.
    smtp_connections: int = Field(default=4, ge=1, le=64)

    # The key of the HMAC over what is posted. Empty: nothing unsigned leaves, webhooks are `skipped`.
    webhook_secret: SecretStr = SecretStr("")
    # Hosts, addresses or networks (comma-separated) that may be posted to although they are not public.
    webhook_allow: str = ""
    webhook_connections: int = Field(default=8, ge=1, le=64)

    # Group robots by provider and name, JSON: {"wecom": {"room-7": {"url": …}}, "dingtalk": {"x": {"url": …,
    # "secret": …}}, "feishu": …}. Deputies' channels name them: `wecom:room-7`.
    robots: SecretStr = SecretStr("")
    robot_connections: int = Field(default=2, ge=1, le=16)
    # The application that writes to members of WeCom, JSON: {"corpid": …, "secret": …, "agentid": …}. Empty:
    # `wecom_app` is `skipped`. WeCom lets an application write to a member 30 times a minute.
    wecom_app: SecretStr = SecretStr("")
    wecom_app_per_minute: int = Field(default=30, ge=0)

    # The P-256 key of VAPID (RFC 8292), 32 bytes in base64url; a new one voids every subscription. Empty:
    # web push is `skipped`, and nobody is offered it. Whom push services may turn to: a mailto: or https:
    # address; by default the public URL where it is https, else the sender of mails.
    push_private_key: SecretStr = SecretStr("")
    push_contact: str = ""
    push_connections: int = Field(default=8, ge=1, le=64)

    # How the SMS gateway is asked, JSON: docs/alerts.md. Empty: SMS is `skipped`.
    sms_gateway: SecretStr = SecretStr("")
    sms_connections: int = Field(default=2, ge=1, le=16)

    # One attempt may take this long, from being recorded to its result, seconds.
    attempt_deadline_s: float = Field(default=20.0, gt=0)
    # Another worker may take over what a dead one had claimed after this long, seconds.
    delivery_lease_s: float = Field(default=40.0, gt=0)
    # The first wait after a passing error and the longest one, seconds; it doubles in between.
    retry_first_s: float = Field(default=10.0, gt=0)
    retry_longest_s: float = Field(default=3600.0, gt=0)
    # With the defaults the last attempt is made after about 14 hours.
    attempts_limit: int = Field(default=20, ge=1)
    # After so many passing errors in a row a channel (a webhook's host) is tried only now and then.
    breaker_failures: int = Field(default=10, ge=1)
    # Seconds between such attempts.
    breaker_rest_s: float = Field(default=30.0, gt=0)
    # What could go by another channel of the receiver is given up here after so long without any answer,
    # seconds.
    silent_s: float = Field(default=600.0, gt=0)
    # An alert whose receiver has neither looked nor acted goes again, by the next channel, after so many
    # working hours, and at most so many times (0: never).
    repeat_after_hours: float = Field(default=4.0, gt=0)
    repeats_limit: int = Field(default=2, ge=0, le=20)
    # Attempts a minute of all workers together; each robot for itself (WeCom and DingTalk allow 20). 0: no
    # limit.
    mail_per_minute: int = Field(default=0, ge=0)
    sms_per_minute: int = Field(default=0, ge=0)
    robot_per_minute: int = Field(default=20, ge=0)
    # A rebuild queues an alert that has no record only while it is this young, hours: a channel that was
    # added since must not be flooded with the past.
    requeue_hours: float = Field(default=24.0, ge=0)

    # Whether residents who left a contact are told how their opinion stands: by mail, and by SMS who left no
    # mail address. Needs the private key, the sign-in secret, the public URL and intake's URL.
    resident_milestones: bool = True
    # So long a milestone waits for the next one, which then takes its place, minutes.
    resident_linger_minutes: float = Field(default=3.0, ge=0)
    # Hours of the city's day in which no resident is written to; empty: none.
    resident_quiet: str = Field(
        default="21:00-08:00", pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$"
    )

    # When weekly summaries (on the first working day) and reminders of contact days (on the working day
    # before) go out, in the city's time; and how often it is looked what is due, seconds.
    weekly_at: str = Field(default="08:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    contact_day_at: str = Field(default="09:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    notices_every_s: float = Field(default=20.0, gt=0)

    # How often a waiting stream is sent a comment, so that proxies keep it open, seconds.
    heartbeat_s: float = Field(default=15.0, gt=0)
    # How long an action waits for the broker before it is answered with 503, seconds.
    publish_deadline_s: float = Field(default=5.0, gt=0)

    # How long a rebuild goes on after the switch, until the workers are back on the new generation, seconds.
    rebuild_handover_s: float = Field(default=15.0, ge=0)

    @model_validator(mode="after")
    def _whole_identity_service(self) -> Self:
        """Half a setting would be a button that fails, or secrets in the open."""
        if not self.oidc_issuer:
            return self
        if not may_be_asked(self.oidc_issuer, self.oidc_plain) or "?" in self.oidc_issuer:
            raise ValueError("LIANXIN_OIDC_ISSUER must be an https address without query or fragment")
        if not self.oidc_client_id:
            raise ValueError("LIANXIN_OIDC_ISSUER needs LIANXIN_OIDC_CLIENT_ID")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("LIANXIN_OIDC_SCOPES must name openid")
        if not self.oidc_signing or not self.oidc_signing <= KEY_TYPES.keys():
            raise ValueError(f"LIANXIN_OIDC_ALGORITHMS names some of {', '.join(KEY_TYPES)}, by commas")
        return self

    @property
    def oidc_plain(self) -> frozenset[str]:
        """The hosts of `oidc_plain_hosts`."""
        return _listed(self.oidc_plain_hosts)

    @property
    def oidc_signing(self) -> frozenset[str]:
        """The algorithms of `oidc_algorithms`."""
        return _listed(self.oidc_algorithms)


def _listed(text: str) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in text.split(","))))
