"""The words of an alert by mail: what it is about and by when, without any personal data. Chinese first."""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal
from zoneinfo import ZoneInfo

from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import Due, message_id

Language = Literal["zh", "en"]

# What happened, and what is asked of the receiver, by the type of the lifecycle event.
_ZH = {
    "opinion.assigned": ("有一件居民意见交给您", "请尽快接办"),
    "opinion.triaged": ("有一件居民意见等待分派", "请指定承办代表"),
    "opinion.taken_back": ("一件居民意见已收回", "您不必再办理"),
    "opinion.returned": ("一件居民意见被退回", "请查看退回原因"),
    "opinion.reopened": ("居民不满意，意见重新办理", "请再次联系并答复"),
    "opinion.rated": ("居民已作出评价", "请查看评价"),
    "opinion.withdrawn": ("居民撤回了意见", "您不必再办理"),
    "opinion.supervised": ("一件居民意见被督办", "请优先办理"),
    "clock.breached": ("一件居民意见已超过时限", "请立即处理"),
    "clock.reminded": ("一件居民意见即将到期", "请在到期前处理"),
    "issue.surged": ("同一问题近来反映较多", "请关注"),
}
_ZH_OTHER = ("一件居民意见有新情况", "请打开收件箱查看")
_EN = {
    "opinion.assigned": ("A resident's opinion was given to you", "Please accept it soon"),
    "opinion.triaged": ("A resident's opinion waits to be assigned", "Please choose a deputy"),
    "opinion.taken_back": ("A resident's opinion was taken back", "You need not handle it any more"),
    "opinion.returned": ("A resident's opinion was returned", "Please see why"),
    "opinion.reopened": ("The resident is not satisfied; the case is open again", "Please answer once more"),
    "opinion.rated": ("The resident has rated the answer", "Please have a look"),
    "opinion.withdrawn": ("The resident took the opinion back", "You need not handle it any more"),
    "opinion.supervised": ("A resident's opinion is under supervision", "Please handle it first"),
    "clock.breached": ("A resident's opinion is past its time limit", "Please act now"),
    "clock.reminded": ("A resident's opinion will soon be due", "Please act before that"),
    "issue.surged": ("One problem is being reported often", "Please keep an eye on it"),
}
_EN_OTHER = ("There is news on a resident's opinion", "Please open your inbox")
_WEEKDAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


@dataclass(frozen=True, slots=True)
class Letter:
    """Subject and text of one mail."""

    subject: str
    text: str


def letter(due: Due, city: Snapshot, public_url: str, link: str | None = None) -> Letter:
    """The words for `due` in its receiver's language. `link` opens the case; without it the receiver has to
    sign in by another way."""
    deputy = city.deputies.get(due.receiver)
    topic = city.topics.get(due.entry.topic or "")
    region = city.regions.get(due.street or "")
    street = region.name if region else ""
    link = link or f"{public_url}/inbox/{due.opinion}"
    zone = ZoneInfo(city.city.zone)
    if deputy is not None and deputy.language == "en":
        return _english(due, topic.name_en if topic else "", street, zone, link)
    return _chinese(due, topic.name if topic else "", street, zone, link)


def mail(
    due: Due, city: Snapshot, public_url: str, sender: str, now: datetime, link: str | None = None
) -> EmailMessage:
    """The whole mail for `due`. Every attempt has the same Message-ID; a repeat says that it is one."""
    words = letter(due, city, public_url, link)
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = due.target
    message["Subject"] = words.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id(due.alert)
    message["Auto-Submitted"] = "auto-generated"
    if due.repeated:
        message["Lianxin-Repeated-After-Crash"] = "true"
    message.set_content(words.text)
    return message


def note(due: Due, city: Snapshot, public_url: str) -> str:
    """The words for `due` where there is room for little: chat groups and SMS. A repeat whose predecessor may
    have arrived says so, for no provider tells them apart."""
    words = letter(due, city, public_url)
    deputy = city.deputies.get(due.receiver)
    english = deputy is not None and deputy.language == "en"
    lines = [("[Repeated] " if english else "【重发】") + words.subject if due.repeated else words.subject]
    if due.entry.due is not None:
        zone = ZoneInfo(city.city.zone)
        lines.append(
            f"Due: {civil(due.entry.due, zone, 'en')}"
            if english
            else f"时限：{civil(due.entry.due, zone, 'zh')}"
        )
    lines.append(f"{public_url}/inbox#{due.opinion}")
    return "\n".join(lines)


def civil(moment: datetime, zone: ZoneInfo, language: Language) -> str:
    """A moment in the city's time, with its weekday."""
    local = moment.astimezone(zone)
    if language == "en":
        return f"{local:%A}, {local.day} {local:%B %Y, %H:%M}"
    day = f"{local.year}年{local.month}月{local.day}日"
    return f"{day} {_WEEKDAYS[local.weekday()]} {local:%H:%M}"


def _chinese(due: Due, topic: str, street: str, zone: ZoneInfo, link: str) -> Letter:
    what, ask = _ZH.get(due.entry.event, _ZH_OTHER)
    about = "，".join(part for part in (topic, street) if part)
    lines = ["您好：", "", f"{what}，{ask}。", ""]
    lines += [f"类别：{topic}"] if topic else []
    lines += [f"街道：{street}"] if street else []
    lines += [f"时限：{civil(due.entry.due, zone, 'zh')}"] if due.entry.due else []
    lines += ["", f"打开收件箱：{link}", "", "邮件中不含居民的个人信息；内容请在收件箱中查看。"]
    return Letter(f"【连心】{what}" + (f"（{about}）" if about else ""), "\n".join(lines) + "\n")


def _english(due: Due, topic: str, street: str, zone: ZoneInfo, link: str) -> Letter:
    what, ask = _EN.get(due.entry.event, _EN_OTHER)
    about = ", ".join(part for part in (topic, street) if part)
    lines = ["Hello,", "", f"{what}. {ask}.", ""]
    lines += [f"Topic: {topic}"] if topic else []
    lines += [f"Street: {street}"] if street else []
    lines += [f"Due: {civil(due.entry.due, zone, 'en')}"] if due.entry.due else []
    lines += ["", f"Your inbox: {link}", ""]
    lines += ["This mail holds no personal data of the resident; the words are in your inbox."]
    return Letter(f"[Lianxin] {what}" + (f" ({about})" if about else ""), "\n".join(lines) + "\n")
