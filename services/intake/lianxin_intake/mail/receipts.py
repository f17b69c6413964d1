"""The receipt: a mail with the tracking code, as RFC 3834 asks of automatic answers. Best effort: the opinion
is in, and a receipt that does not go is no reason to have it sent again."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib

from lianxin_chassis.logs import get_logger
from lianxin_intake.rates import Buckets

log = get_logger(__name__)

SEND_S = 5.0
# To one address, an hour and at once: somebody else may have written its name into MAIL FROM.
_PER_HOUR, _AT_ONCE = 10, 5
# What can be written into a header as it is; whoever gets the receipt can do without another.
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+>")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What goes back: to the envelope's sender, from the address that was written to. `opinion` names it, so
    that the same receipt sent twice has one Message-ID."""

    to: str
    from_: str
    in_reply_to: str
    opinion: str
    code: str
    page: str
    left_out: int
    at: datetime


def receipt_mail(receipt: Receipt) -> EmailMessage:
    """The mail."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = receipt.from_
    mail["To"] = receipt.to
    mail["Subject"] = f"已收到您的意见 {receipt.code}"
    mail["Date"] = format_datetime(receipt.at)
    mail["Message-ID"] = f"<receipt.{receipt.opinion}@{receipt.from_.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-replied"
    mail["X-Auto-Response-Suppress"] = "All"
    if _MESSAGE_ID.fullmatch(receipt.in_reply_to):
        mail["In-Reply-To"] = receipt.in_reply_to
        mail["References"] = receipt.in_reply_to
    left_out = f"\n有{receipt.left_out}个附件未能收下，请在正文中说明。" if receipt.left_out else ""
    mail.set_content(
        f"您好！您的意见已收到，谢谢。\n\n查询码：{receipt.code}\n{receipt.page}\n\n"
        f"请妥善保管查询码：凭它可以查看办理情况、评价、撤回或删除。{left_out}\n"
        "本邮件由系统自动发出，回复它会成为一件新的意见。\n\n"
        f"Your opinion was received. Tracking code: {receipt.code}\n"
    )
    return mail


class Receipts:
    """Sends receipts by a relay; without one (`host` "") it sends none."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._limits = Buckets(_PER_HOUR / 3600, _AT_ONCE)

    async def send(self, receipt: Receipt) -> bool:
        """Hand it to the relay within `SEND_S`; whether that was done. The relay's faults raise nothing."""
        if not self._host or self._limits.take(receipt.to.lower()):
            return False
        try:
            await aiosmtplib.send(
                receipt_mail(receipt),
                sender="",  # nobody is to answer this
                recipients=[receipt.to],
                hostname=self._host,
                port=self._port,
                timeout=SEND_S,
            )
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            log.warning("a receipt was not sent", why=type(error).__name__)
            return False
        return True
