"""Mail as a channel: an SMTP listener behind the city's own mail server. `docs/mail.md`."""
