"""The mail with a link that somebody asked for. Best effort: who gets none asks again."""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

import aiosmtplib

from lianxin_chassis.logs import get_logger
from lianxin_notifier.people import Person
from lianxin_notifier.settings import NotifierSettings

log = get_logger(__name__)

_SUBJECT = {"zh": "【连心】登录工作台", "en": "[Lianxin] Sign in"}
_TEXT = {
    "zh": "您好：\n\n请在 {minutes} 分钟内点开下面的链接，再按“登录”。链接只能用一次，请不要转发。\n\n"
    "{link}\n\n不是您本人要求的？不用理会这封邮件，什么也不会发生。\n",
    "en": "Hello,\n\nPlease open this link within {minutes} minutes and press “Sign in”. It works once; "
    "please do not pass it on.\n\n{link}\n\nYou did not ask for it? Then ignore this mail; nothing will "
    "happen.\n",
}


def signin_mail(person: Person, target: str, link: str, minutes: int, sender: str) -> EmailMessage:
    """The mail with `link`, in the person's language."""
    language = "en" if person.language == "en" else "zh"
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = target
    message["Subject"] = _SUBJECT[language]
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain="lianxin")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_TEXT[language].format(minutes=minutes, link=link))
    return message


class SignInMailer:
    """Sends such mails by the city's mail server."""

    def __init__(self, settings: NotifierSettings) -> None:
        self._settings = settings

    async def send(self, person: Person, link: str, minutes: int) -> None:
        """Hand the mail over where the person has an address and a server is known. Never raises for what
        the server does: nobody waits for it."""
        settings = self._settings
        if person.mail is None or not settings.smtp_host:
            log.warning("a link was asked for and can't be mailed", person=person.id)
            return
        message = signin_mail(person, person.mail, link, minutes, settings.smtp_from)
        try:
            await aiosmtplib.send(
                message,
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.smtp_username or None,
                password=settings.smtp_password.get_secret_value() or None,
                use_tls=settings.smtp_tls == "tls",
                start_tls=settings.smtp_tls == "starttls",
                timeout=settings.attempt_deadline_s,
            )
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            log.warning("a link was not mailed", person=person.id, error=type(error).__name__)
        else:
            log.info("a link was mailed", person=person.id)
