"""How codes are called on a panel, Chinese first. Districts and topics are the city's own."""

import json
from pathlib import Path

STAGES = {
    "submitted": "提出 submitted",
    "triage": "待分派 triage",
    "assigned": "已交办 assigned",
    "accepted": "已接办 accepted",
    "in_progress": "办理中 in progress",
    "resolved": "已办结 resolved",
    "rated": "已评价 rated",
    "closed": "已归档 closed",
}
EVENTS = {
    "opinion.submitted": "提出 submitted",
    "opinion.triaged": "转人工分派 triaged",
    "opinion.assigned": "交办 assigned",
    "opinion.accepted": "接办 accepted",
    "opinion.returned": "退单 returned",
    "opinion.transferred": "转办 transferred",
    "opinion.taken_back": "收回 taken back",
    "opinion.answered": "答复 answered",
    "opinion.progressed": "进展 progressed",
    "opinion.resolved": "办结 resolved",
    "opinion.rated": "评价 rated",
    "opinion.reopened": "重办 reopened",
    "opinion.closed": "归档 closed",
    "clock.breached": "超时 breached",
}
OUTCOMES = {
    "solved": "A 解决 solved",
    "planned": "B 列入计划 planned",
    "explained": "C 解释 explained",
    "referred": "D 转交 referred",
    "duplicate": "重复 duplicate",
    "invalid": "无效 invalid",
}
SCORES = {
    "satisfied": "满意 satisfied",
    "basically": "基本满意 basically",
    "dissatisfied": "不满意 dissatisfied",
}
DELIVERIES = {
    f"{channel} {status}": f"{channel_name} {status_name} {channel} {status}"
    for channel, channel_name in (("inbox", "收件箱"), ("mail", "邮件"), ("webhook", "回调"))
    for status, status_name in (
        ("sent", "已达"), ("failed", "失败"), ("dead", "放弃"), ("skipped", "跳过")
    )
}  # fmt: skip
UNKNOWN = {"unknown": "未定 unknown"}


def districts(city: Path) -> dict[str, str]:
    """The districts of the city at `city` (a folder as `lianxin registry load` takes) by code."""
    lines = (json.loads(line) for line in (city / "regions.ndjson").read_text("utf-8").splitlines())
    return {one["id"]: f"{one['name']} {one['id']}" for one in lines if one["kind"] == "district"} | UNKNOWN


def topics(city: Path) -> dict[str, str]:
    """Its first-level topics by code."""
    lines = (json.loads(line) for line in (city / "topics.ndjson").read_text("utf-8").splitlines())
    return {one["id"]: f"{one['name']} {one['id']}" for one in lines if "parent" not in one} | UNKNOWN
