"""What the account says, in Chinese. Pure."""

from collections.abc import Mapping

from lianxin_contracts.registry import Snapshot
from lianxin_intake.pages.standing import Standing
from lianxin_intake.wechat.conversation import IDLE, MAX_PICTURES, Kind, Reply

_IDLE = f"{int(IDLE.total_seconds() // 3600)}小时"
_HOW = (
    "直接发文字、图片或位置，说完后回复“1”提交；回复“取消”放弃；"
    "回复“进度”看最近一件，“查询 查询码”看任何一件。"
)
_TEXTS: Mapping[Kind, str] = {
    "welcome": "您好，这里是人大代表联络站“选民有话说”。" + _HOW,
    "station": "您好，这里是{station}“选民有话说”。" + _HOW,
    "unknown_station": "这个二维码的站点已不在名录中，仍可直接留言。" + _HOW,
    "gathered": "已记下{sum}。还可继续补充，回复“1”提交，“取消”放弃。" + f"{_IDLE}内未提交会自动清除。",
    "pointed": "位置已记下（共{sum}）。说完后回复“1”提交。",
    "pictured": "图片已收到（共{sum}）。说完后回复“1”提交。",
    "no_pictures": "这张图片没有收到。请再发一次，或用文字说明。",
    "unsupported": "抱歉，这类消息（链接、视频、听不清的语音等）无法收作意见。请发文字、图片或位置。",
    "full": f"这件意见已满（一万字、{MAX_PICTURES}张图片），刚才这条没有记下。请回复“1”先提交，再说下一件。",
    "nothing_yet": "还没有内容可提交。请先说说您的意见。",
    "words_wanted": "已记下{sum}，还缺文字。请用一两句话说明情况，再回复“1”。",
    "waiting": "前面的意见还在提交，请稍候再回复“1”；已写的内容不会丢。",
    "cancelled": "已放弃，刚才的内容已清除。",
    "nothing_to_cancel": "没有未提交的内容。已提交的意见，请在查询页面撤回。",
    "help": _HOW,
}
_DROPPED = f"（上次未提交的内容已超过{_IDLE}，已清除。）\n"
BUSY = "系统正忙，这条消息可能没有记下。请稍后回复“进度”查看，或再发一次。"
TOO_FAST = "消息太多了，刚才这条没有记下。请稍等一分钟再发。"
PENDING = "内容已保存，正在提交，还没有得到确认；系统会自动补交，不会重复。请稍后回复“进度”查看结果。"
NOT_TAKEN = "抱歉，这件意见没有被接受：{why}。请改后重新发送。"
NOTHING_SENT = "您还没有提交过意见。" + _HOW
WRONG_CODE = "没有找到这个查询码。请核对后再发“查询 查询码”；大小写、空格和横线都不要紧。"
TOO_MANY_CODES = "错误的查询码太多，请过几分钟再试。"
UNREADABLE = "暂时查不到办理情况，请稍后再试。意见照常受理。"


def text_of(reply: Reply, city: Snapshot) -> str:
    """The words of `reply`, other than what became of a submission; "" where nothing is to be said."""
    template = _TEXTS.get(reply.kind)
    if template is None:
        return ""
    station = city.stations.get(reply.of)
    said = template.format(sum=_sum(reply), station=station.name if station is not None else "本站")
    return (_DROPPED if reply.dropped else "") + said


def received(code: str, address: str, *, dropped: bool) -> str:
    """An opinion was taken: its tracking code, and the page that follows it."""
    return (
        _DROPPED if dropped else ""
    ) + f"已提交，谢谢您。查询码：{code}\n回复“进度”或打开 {address} 查看办理情况，请妥善保管查询码。"


def where(code: str, now: Standing) -> str:
    """Where an opinion stands: the stage, who has it, until when, and the last three steps."""
    lines = [f"{code}：{now.headline}"]
    lines += [line for line in (now.holder, now.due) if line]
    lines += [f"{line.at} {line.text}" for line in now.lines[:3]]
    return "\n".join(lines)


def _sum(reply: Reply) -> str:
    parts = [f"{reply.texts}段文字"] if reply.texts else []
    parts += [f"{reply.pictures}张图片"] if reply.pictures else []
    parts += ["1个位置"] if reply.pointed else []
    return "、".join(parts) or "您的话"
