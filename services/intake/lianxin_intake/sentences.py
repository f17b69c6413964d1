"""What a step of the timeline says where nobody wrote words for it: plain sentences, Chinese and English."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from lianxin_contracts.registry import Snapshot
from lianxin_intake.projection import Step

Language = Literal["zh", "en"]

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "opinion.submitted": ("意见已提交。", "The opinion was submitted."),
    "opinion.triaged": ("正在由工作人员分派。", "A member of staff is finding the right deputy."),
    "opinion.assigned": ("已交办给{deputy}。", "Assigned to {deputy}."),
    "opinion.accepted": ("{deputy}已接办。", "{deputy} has taken it on."),
    "opinion.answered": ("{deputy}作了答复。", "{deputy} has answered."),
    "opinion.progressed": ("{deputy}正在办理。", "{deputy} is working on it."),
    "opinion.visited": ("{deputy}于{visited}到现场走访。", "{deputy} went to see it on {visited}."),
    "opinion.handed_over": ("已转交{department}办理。", "{department} was asked to act."),
    "opinion.transferred": ("已转给{deputy}。", "Passed on to {deputy}."),
    "opinion.returned": ("已退回重新分派。", "Returned, to be assigned anew."),
    "opinion.taken_back": ("已收回重新分派。", "Taken back, to be assigned anew."),
    "opinion.paused": ("暂缓办理，至{until}。", "On hold until {until}."),
    "opinion.resumed": ("继续办理。", "Work goes on."),
    "opinion.resolved": ("已办结：{outcome}。", "Resolved: {outcome}."),
    "opinion.rated": ("评价：{score}。", "Rated: {score}."),
    "opinion.reopened": ("已重新办理。", "Reopened."),
    "opinion.closed": ("已归档：{how}。", "Closed: {how}."),
    "opinion.withdrawn": ("已撤回。", "Withdrawn."),
    "opinion.supervised": ("已督办。", "A supervisor is pressing for it."),
    "opinion.published": ("已隐去个人信息后公开。", "Made public, with personal details taken out."),
    "opinion.unpublished": ("已停止公开。", "No longer public."),
    "opinion.erased": ("内容已按要求删除。", "The words were erased as asked."),
    "contact.revealed": ("{deputy}查看了您的联系方式。", "{deputy} was shown your contact details."),
}
_WORDS: Mapping[str, tuple[str, str]] = {
    "outcome.solved": ("已解决", "solved"),
    "outcome.planned": ("已列入计划", "planned"),
    "outcome.explained": ("已解释说明", "explained"),
    "outcome.referred": ("已转有关单位", "referred"),
    "outcome.duplicate": ("与其他意见重复", "a duplicate"),
    "outcome.invalid": ("不予办理", "not a case to act on"),
    "score.satisfied": ("满意", "satisfied"),
    "score.basically": ("基本满意", "basically satisfied"),
    "score.dissatisfied": ("不满意", "dissatisfied"),
    "how.rated": ("已评价", "rated"),
    "how.unrated": ("未评价", "not rated"),
    "how.withdrawn": ("本人撤回", "withdrawn"),
    "how.erased": ("内容已删除", "erased"),
}
_SOMEBODY = ("代表", "the deputy")
_SOME_SYSTEM = ("工作人员", "a member of staff")


def language_of(accept_language: str | None, own: str = "zh") -> Language:
    """The language to show: the first of Accept-Language that we have, else the opinion's own, else
    Chinese."""
    for part in (accept_language or "").split(","):
        tag = part.split(";")[0].strip().lower()
        if tag.startswith("en"):
            return "en"
        if tag.startswith("zh"):
            return "zh"
    return "en" if own.startswith("en") else "zh"


def sentence(step: Step, language: Language, city: Snapshot | None) -> str:
    """What `step` says. Names come from `city`; a deputy whom it does not know is "the deputy"."""
    pick = 1 if language == "en" else 0
    template = _SENTENCES[step.type][pick]
    shown = {"deputy": _deputy(step.values.get("deputy"), pick, city)}
    for name, value in step.values.items():
        if name == "department":
            known = city.departments.get(value) if city is not None else None
            shown[name] = known.name if known is not None else value
        elif name == "channel":
            system = city.channels.get(value) if city is not None else None
            shown["deputy"] = system.name if system is not None else _SOME_SYSTEM[pick]
        elif name in ("until", "visited"):
            shown[name] = _civil_day(value, city)
        elif name != "deputy":
            words = _WORDS.get(f"{name}.{value}")
            shown[name] = words[pick] if words is not None else value
    text = template.format_map(shown)
    return text[:1].upper() + text[1:]


def _deputy(id_: str | None, pick: int, city: Snapshot | None) -> str:
    known = city.deputies.get(id_) if city is not None and id_ is not None else None
    if known is None:
        return _SOMEBODY[pick]
    return f"{known.name}代表" if pick == 0 else f"deputy {known.name}"


def _civil_day(moment: str, city: Snapshot | None) -> str:
    zone = ZoneInfo(city.city.zone if city is not None else "Asia/Shanghai")
    return datetime.fromisoformat(moment).astimezone(zone).date().isoformat()
