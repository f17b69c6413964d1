"""How to mend a row that was refused, in Chinese; in English the problem's own words say it."""

from lianxin_intake.sentences import Language

_CHINESE = {
    "missing": "请填写意见内容。",
    "empty": "请填写，或将此格清空。",
    "too_long": "内容过长，请缩短。",
    "too_large": "此行过长；请检查是否缺少引号，或缩短内容。",
    "invisible_characters": "请删除零宽字符和方向控制字符。",
    "control_character": "请删除控制字符和多余的换行。",
    "unknown_topic": "没有这个类别代码，请按类别表填写，或留空。",
    "unknown_station": "没有这个站点编号，请按站点表填写，或留空。",
    "unknown_grid": "没有这个网格编号，请更正，或留空。",
    "out_of_range": "数值超出范围，请更正。",
    "bad_number": "经纬度应为数字，例如 31.5689。",
    "half_place": "经度和纬度须同时填写，或同时留空。",
    "bad_crs": "坐标系应为 wgs84、gcj02 或 bd09。",
    "bad_phone": "电话号码格式不对，请用数字填写。",
    "bad_mail": "邮箱格式不对，例如 name@example.org。",
    "bad_language": "语言应为 zh 或 en 之类的代码。",
    "bad_time": "时间格式不对，例如 2026-11-23 08:00。",
    "in_the_future": "时间在将来，请更正。",
    "too_long_ago": "时间太早：最多补录 7 天。",
    "backdate_scope_missing": "此密钥不能补录时间：请删去时间列，或换用有 backdate 权限的密钥。",
    "unknown_attachment": "没有这个附件。",
    "malformed": "此行不是 JSON 对象，请检查括号、引号和逗号。",
    "wrong_type": "字段类型不对，请更正。",
    "unknown_field": "没有这个字段，请删去或更正字段名。",
    "empty_line": "此行为空，可不理会。",
    "wrong_cells": "格数与表头不符，请检查引号和分隔符。",
    "bad_quoting": "引号不成对，请检查此行。",
    "bad_encoding": "此行编码与文件开头不同，请将文件另存为 UTF-8。",
    "idempotency_conflict": "此编号已用于另一条意见，原意见未改动；如是新意见，请换一个编号。",
    "not_confirmed": "未能确认是否收到：请原样再传一次，不会重复。",
    "results_unread": "此行及以后各行未收：请边传边读结果，从此行起再传。",
    "workbook_too_large": "工作簿过大，此行及以后未收：请拆分，或另存为 CSV 再传。",
    "unreadable_workbook": "此行及以后无法读取：请用表格软件重新保存后再传。",
}
_ANY = "请按说明更正后再传。"


def mending(code: str, message: str, language: Language) -> str:
    """What to do about a fault of this `code`; `message` is what the problem says in English."""
    return message if language == "en" else _CHINESE.get(code, _ANY)
