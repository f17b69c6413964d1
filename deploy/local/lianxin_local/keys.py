"""Secrets and demo keys of one stack: made once, at random, and kept for their owner only."""

import base64
import secrets
from dataclasses import dataclass

from lianxin_local.home import Home, read_json, write_json


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the services keep to themselves."""

    tracking: str
    webhook: str
    contact_private: str
    contact_public: str
    issue: str
    signin: str
    link: str
    push: str


@dataclass(frozen=True, slots=True)
class DemoKeys:
    """Keys to post with and to act with, on the local stack."""

    submit: str
    staff: str


def secrets_of(home: Home) -> Secrets:
    """The secrets kept there; what is missing is made now, all of it or what a later version needs beside."""
    kept = read_json(home.secrets) or {}
    wanted = {"tracking", "webhook", "issue", "signin", "link"}
    missing = {name: secrets.token_urlsafe(32) for name in wanted - kept.keys()}
    if "contact_private" not in kept:
        from nacl.public import PrivateKey

        contact = PrivateKey.generate()
        missing["contact_private"] = base64.b64encode(bytes(contact)).decode()
        missing["contact_public"] = base64.b64encode(bytes(contact.public_key)).decode()
    if "push" not in kept:
        missing["push"] = push_key()
    if missing:
        kept |= missing
        write_json(home.secrets, kept)
    return Secrets(**kept)


def push_key() -> str:
    """A private key of P-256 (32 bytes, base64url), by which push services know a server (RFC 8292)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def demo_keys_of(home: Home) -> DemoKeys:
    """The demo keys kept there; made now if there are none."""
    kept = read_json(home.keys)
    if kept is None:
        kept = {
            "submit": f"lx_submit_{secrets.token_urlsafe(24)}",
            "staff": f"lx_staff_{secrets.token_urlsafe(24)}",
        }
        write_json(home.keys, kept)
    return DemoKeys(**kept)
