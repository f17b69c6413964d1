"""WeChat's signatures and its encryption, as its documentation gives them. Pure.

Signature: SHA-1 of the sorted parts (token, timestamp, nonce; for `msg_signature` also the ciphertext).
Encryption: AES-256-CBC, the first 16 bytes of the key as initialisation vector, padded to a multiple of 32;
inside are 16 random bytes, the length as four bytes in network order, the message, the AppID.
"""

import base64
import binascii
import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

_BLOCK = 32  # bytes: WeChat pads to this, not to AES's own 16
_AES_BLOCK = 16
_RANDOM = 16
_LENGTH = 4


class Undecipherable(Exception):
    """It was not encrypted with this account's key."""


def signature(*parts: str) -> str:
    """The signature (hex) of `parts`, in whatever order."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def is_signed(given: str, *parts: str) -> bool:
    """Whether `given` is the signature of `parts`; in constant time, never raises."""
    return hmac.compare_digest(given.encode(), signature(*parts).encode())


def encrypt(message: bytes, key: bytes, app_id: str) -> str:
    """`message` as base64, for the account `app_id`."""
    plain = os.urandom(_RANDOM) + len(message).to_bytes(_LENGTH, "big") + message + app_id.encode()
    missing = _BLOCK - len(plain) % _BLOCK
    encryptor = _cipher(key).encryptor()
    sealed = encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()
    return base64.b64encode(sealed).decode()


def decrypt(encrypted: str, key: bytes, app_id: str) -> bytes:
    """The message in `encrypted`. Raises `Undecipherable`, which does not say which part was wrong."""
    try:
        sealed = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        raise Undecipherable from None
    if not sealed or len(sealed) % _AES_BLOCK:
        raise Undecipherable
    decryptor = _cipher(key).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    if not 1 <= padded[-1] <= _BLOCK:
        raise Undecipherable
    plain = padded[: -padded[-1]]
    begin = _RANDOM + _LENGTH
    end = begin + int.from_bytes(plain[_RANDOM:begin], "big")
    if len(plain) < begin or end > len(plain) or plain[end:] != app_id.encode():
        raise Undecipherable
    return plain[begin:end]


def _cipher(key: bytes) -> Cipher[CBC]:
    return Cipher(AES(key), CBC(key[:16]))
