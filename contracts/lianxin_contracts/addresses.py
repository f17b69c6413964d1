"""Where alerts go: a deputy's `kind:target` channels, and what keeps one from ever being reached."""

import re
from urllib.parse import urlsplit

# ASCII throughout: our mails don't ask for SMTPUTF8 (RFC 6531), so no other address can be written to.
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")  # RFC 5322 3.2.3
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # RFC 1035 2.3.1
_ROBOT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")  # a userid of WeCom; "|" would join several
_PHONE = re.compile(r"\+?[0-9]{5,15}")  # E.164
MAX_MAIL = 254  # characters, RFC 5321 4.5.3.1.3 less the angle brackets
MAX_LOCAL = 64  # characters, RFC 5321 4.5.3.1.1


def complaint(channel: str) -> str | None:
    """What is wrong with the address of `channel`; None where it can be tried. Of a kind that is not known
    here only that it has a kind and a target."""
    kind, _, target = channel.partition(":")
    if kind == "push":
        return "push has no address: browsers are chosen by whoever sits before them" if target else None
    if not kind or not target:
        return (
            "it is not of the form mail:…, webhook:…, wecom_app:…, wecom:…, dingtalk:…, feishu:… or sms:…, "
            "nor push"
        )
    if kind == "mail" and not _is_mail(target):
        return "it is no mail address (name@host, in ASCII)"
    if kind == "webhook" and not _is_url(target):
        return "it is no plain http or https URL"
    if kind in ("wecom", "dingtalk", "feishu") and not _ROBOT.fullmatch(target):
        return "it is not the name of a robot (its URL is a secret that the notifier alone is told)"
    if kind == "wecom_app" and not _MEMBER.fullmatch(target):
        return "it is not the userid of a member of WeCom"
    if kind == "sms" and not _PHONE.fullmatch(target):
        return "it is no telephone number (digits, with + and the country's code where abroad)"
    return None


def _is_mail(target: str) -> bool:
    local, _, host = target.rpartition("@")
    if len(target) > MAX_MAIL or len(local) > MAX_LOCAL:
        return False
    names = all(_ATOM.fullmatch(atom) for atom in local.split("."))
    return names and all(_LABEL.fullmatch(label) for label in host.split("."))


def _is_url(target: str) -> bool:
    try:
        url = urlsplit(target)
        host, port = url.hostname, url.port
        if not host or not host.encode("idna"):  # as the look-up of the name will encode it
            return False
    except ValueError:  # brackets, a port out of range, an empty label, one of more than 63 characters
        return False
    plain = url.username is None and url.password is None and target.isprintable() and " " not in target
    return url.scheme in ("http", "https") and plain and port != 0
