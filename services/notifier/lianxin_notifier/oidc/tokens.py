"""What an identity service signs: the ID token of a sign-in and the logout token that ends some. No I/O.

OpenID Connect Core 1.0, 3.1.3.7 (ID tokens), and Back-Channel Logout 1.0, 2.6 (logout tokens). Signatures are
joserfc's business, and what it has verified is judged here.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

# Whoever can check one of these can't make one: no `none`, and no HMAC, whose key a public key could pose as.
KEY_TYPES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
# NIST SP 800-131A: shorter ones are broken within reach.
SHORTEST_RSA_BITS = 2048
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
# How old a logout token may be, beside the clocks' skew: it is sent when it is made.
LOGOUT_HOLDS = timedelta(minutes=5)
_LONGEST = 16_000  # characters of a token
_MOST_ID = 255  # characters of `sub`, Core 1.0, 2

Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey


class TokenRefusedError(Exception):
    """A token that is not believed; the text says why, without anything of the token."""


class KeyUnknownError(TokenRefusedError):
    """A token signed by a key that is not among those known: they may have been changed since."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose tokens, for whom, signed how. `skew`: how far the two clocks may be apart."""

    issuer: str
    client: str
    algorithms: frozenset[str]
    skew: timedelta


@dataclass(frozen=True, slots=True)
class Logout:
    """Which sign-ins have ended: those of one session there, or all of one subject, begun until `at`."""

    subject: str | None
    session: str | None
    at: datetime


def usable_keys(documents: Iterable[Any]) -> tuple[Key, ...]:
    """The keys of a JWK Set that can check a signature; others, and kinds unknown here, are left out
    (RFC 7517, 5)."""
    return tuple(key for document in documents if (key := _usable(document)) is not None)


def id_token(
    token: str, keys: Sequence[Key], expected: Expected, nonce: str, since: datetime, now: datetime
) -> Mapping[str, Any]:
    """The claims of an ID token that answers the request of `since` with `nonce`. Raises
    TokenRefusedError."""
    header, claims = _verified(token, keys, expected)
    _require(_type(header) in ("", "jwt"), "it is no ID token")
    _require_meant_for_us(claims, expected)
    _require(_moment(claims, "exp") + expected.skew > now, "it has expired")
    issued = _moment(claims, "iat")
    _require(issued <= now + expected.skew, "it is of the future")
    _require(issued >= since - expected.skew, "it is older than what was asked")
    given = claims.get("nonce")
    _require(isinstance(given, str) and hmac.compare_digest(given.encode(), nonce.encode()), "wrong nonce")
    _require(_is_id(claims.get("sub")), "it names no subject")
    return claims


def logout_token(token: str, keys: Sequence[Key], expected: Expected, now: datetime) -> Logout:
    """What a logout token ends. Raises TokenRefusedError."""
    header, claims = _verified(token, keys, expected)
    _require(_type(header) in ("", "jwt", "logout+jwt"), "it is no logout token")
    _require_meant_for_us(claims, expected)
    issued = _moment(claims, "iat")
    _require(issued <= now + expected.skew, "it is of the future")
    _require(issued >= now - expected.skew - LOGOUT_HOLDS, "it is too old")
    if "exp" in claims:  # of later editions
        _require(_moment(claims, "exp") + expected.skew > now, "it has expired")
    events = claims.get("events")
    _require(isinstance(events, dict) and isinstance(events.get(LOGOUT_EVENT), dict), "it tells of no logout")
    _require("nonce" not in claims, "an ID token poses as a logout token")
    subject, session = claims.get("sub"), claims.get("sid")
    _require(subject is not None or session is not None, "it ends nobody's sign-in")
    _require(all(one is None or _is_id(one) for one in (subject, session)), "what it ends can't be read")
    return Logout(subject, session, issued + expected.skew)


def _verified(
    token: str, keys: Sequence[Key], expected: Expected
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    _require(len(token) <= _LONGEST and token.count(".") == 2, "it is no signed token")
    try:
        header = jws.extract_compact(token.encode()).headers()
        algorithm = header.get("alg")
        _require(
            isinstance(algorithm, str) and algorithm in expected.algorithms, "its algorithm is not allowed"
        )
        verified = jwt.decode(token, _key_for(header, keys), algorithms=[str(algorithm)])
    except (JoseError, ValueError) as error:
        raise TokenRefusedError(f"its signature does not hold: {type(error).__name__}") from error
    return header, verified.claims


def _key_for(header: Mapping[str, Any], keys: Sequence[Key]) -> Key:
    """The one key that may have signed under this header."""
    algorithm, id_ = str(header["alg"]), header.get("kid")
    of_type = [key for key in keys if key.key_type == KEY_TYPES[algorithm]]
    fitting = [key for key in of_type if key.get("alg") in (None, algorithm)]
    found = [key for key in fitting if key.get("kid") == id_] if id_ is not None else fitting
    if not found:
        raise KeyUnknownError("its key is not known")
    # Without a name it must be plain which one is meant (Core 1.0, 10.1).
    _require(len(found) == 1, "it does not say which key signed it")
    return found[0]


def _require_meant_for_us(claims: Mapping[str, Any], expected: Expected) -> None:
    _require(claims.get("iss") == expected.issuer, "another issuer made it")
    audience = claims.get("aud")
    meant = [audience] if isinstance(audience, str) else audience
    _require(isinstance(meant, list) and expected.client in meant, "it is for another client")
    party = claims.get("azp")
    _require(party in (None, expected.client), "another client asked for it")
    _require(party is not None or len(meant or ()) == 1, "it is for others, too, and says not who asked")


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefusedError(f"it has no usable {name}")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise TokenRefusedError(f"it has no usable {name}") from None


def _usable(document: Any) -> Key | None:
    if not isinstance(document, dict) or document.get("use", "sig") != "sig":
        return None
    if document.get("kty") not in KEY_TYPES.values():
        return None
    try:
        key = jwk.import_key(document)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, jwk.RSAKey):
        return key if key.public_key.key_size >= SHORTEST_RSA_BITS else None
    return key if isinstance(key, jwk.ECKey | jwk.OKPKey) else None


def _type(header: Mapping[str, Any]) -> str:
    return str(header.get("typ", "")).lower().removeprefix("application/")


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MOST_ID


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise TokenRefusedError(why)
