"""Attachments are not taken yet: every id that an opinion names is refused by name, before anything is
accepted."""


class NoAttachments:
    """No upload was ever issued."""

    def issued(self, attachment: str) -> bool:
        """Always False."""
        del attachment
        return False
