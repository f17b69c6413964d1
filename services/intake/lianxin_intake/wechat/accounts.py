"""What is known of an Official Account: the values of its page "basic configuration" on WeChat's platform."""

import base64
import binascii

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

_AES_KEY_BYTES = 32


class WechatAccount(BaseModel):
    """One Official Account. `token` signs its callbacks; with `aes_key` (EncodingAESKey) only encrypted ones
    are taken; with `app_secret` pictures are fetched by their media id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr = Field(min_length=3, max_length=32)
    app_id: str = Field(min_length=1, max_length=64)
    aes_key: SecretStr | None = None
    app_secret: SecretStr | None = None

    @field_validator("aes_key")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key_of(value.get_secret_value())
        return value

    @property
    def key(self) -> bytes | None:
        """The 32 bytes of the AES key; None where messages come in clear."""
        return None if self.aes_key is None else key_of(self.aes_key.get_secret_value())


def key_of(encoding_aes_key: str) -> bytes:
    """The AES key in WeChat's EncodingAESKey: 43 characters of base64 without the last `=`. Raises
    ValueError, which does not repeat it."""
    try:
        key = base64.b64decode(encoding_aes_key + "=", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("EncodingAESKey is 43 characters, a-z A-Z 0-9") from None
    if len(key) != _AES_KEY_BYTES:
        raise ValueError("EncodingAESKey is 43 characters, a-z A-Z 0-9")
    return key
