"""Tracking codes: what a resident keeps to follow an opinion, with nothing to store and nothing to look
up.

60 bits of HMAC-SHA-256(secret, opinion id) as 12 characters of Crockford's base32 (no I, L, O, U) and one
check character, in groups for reading aloud: `7QK2-M4XW-9PZ3H`. The check character comes from the same
alphabet, so that a code can be dictated and put into an address (Crockford's own check symbols include *
~ $ =): it makes the 13 digits a code word over GF(32), which finds every wrong character and every two
that changed places.
"""

import hashlib
import hmac

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None, "\t": None, "\n": None})
# Each value times x in GF(32) modulo x^5 + x^2 + 1.
_TIMES_X = tuple(value << 1 ^ (0b100101 if value & 16 else 0) for value in range(32))
LENGTH = 13  # 12 characters of 5 bits and the check character
# No input longer than this is looked at: a code with a separator after every character is 25 long.
MAX_INPUT = 64


class TrackingCodes:
    """Makes and checks tracking codes under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, opinion: str) -> str:
        """The code of `opinion`, grouped 4-4-5."""
        mac = hmac.digest(self._secret, opinion.encode(), "sha256")
        bits = int.from_bytes(mac[:8], "big") >> 4
        digits = [bits >> shift & 31 for shift in range(55, -1, -5)]
        digits.append(check_digit(digits))
        plain = "".join([ALPHABET[digit] for digit in digits])
        return f"{plain[:4]}-{plain[4:8]}-{plain[8:]}"

    def opens(self, code: str, opinion: str) -> bool:
        """Whether `code`, as somebody typed it, is the code of `opinion`. In constant time for a well-formed
        code; never raises."""
        plain = normalised(code)
        return plain is not None and hmac.compare_digest(plain, self.of(opinion).replace("-", ""))


def check_digit(digits: list[int]) -> int:
    """The digit (0..31) that makes `digits` followed by it a code word: its polynomial is zero at x."""
    total = 0
    for digit in digits:
        total = _TIMES_X[total] ^ digit
    return _TIMES_X[total]


def normalised(code: str) -> str | None:
    """The 13 characters that somebody meant: case, spaces and hyphens don't matter, O is 0, I and L are 1.
    None where that is no code, the check character included."""
    if len(code) > MAX_INPUT:
        return None
    plain = code.upper().translate(_MISREAD)
    if len(plain) != LENGTH:
        return None
    try:
        digits = [_VALUE[character] for character in plain]
    except KeyError:
        return None
    return plain if check_digit(digits[:-1]) == digits[-1] else None


def fingerprint(plain: str) -> str:
    """What the projection keeps of a normalised code: SHA-256 (hex), so that a stolen database opens
    nothing."""
    return hashlib.sha256(plain.encode()).hexdigest()
