"""What every published figure means: versioned, in words, in Chinese and English.

Reports name the version that they were made by, docs/metrics.md is written from here, and the tests compute
every figure again from the log by these words. What Prometheus is told is defined in `exported.py`.
"""

from dataclasses import dataclass
from typing import Literal

VERSION = "1"
"""Of the whole set: raised with any figure's."""

Kind = Literal["count", "rate", "duration", "estimate", "gauge", "counter", "histogram"]
Basis = Literal["event", "cohort", "due", "invitation", "stock"]

BASES: dict[Basis, tuple[str, str]] = {
    "event": ("事件发生在时间窗内", "the event happened in the window"),
    "cohort": ("案件在时间窗内提出", "the case was submitted in the window"),
    "due": (
        "时限在时间窗内到期且不晚于 as_of",
        "the due time lies in the window and is not after as_of",
    ),
    "invitation": (
        "办结（即邀请评价）发生在时间窗内",
        "the resolution, by which the resident is invited to rate, happened in the window",
    ),
    "stock": (
        "时间窗结束时（或更早的 as_of）的状态",
        "the state at the window's end (or at as_of, if earlier)",
    ),
}


@dataclass(frozen=True, slots=True)
class Definition:
    """One figure. `zh`, `en`: its name; `formula_zh`, `formula_en`: how it is computed from the lifecycle
    log. `source`: the practice that it follows. `scale`: what one full success adds to a rate's numerator."""

    id: str
    kind: Kind
    unit: str
    zh: str
    en: str
    formula_zh: str
    formula_en: str
    basis: Basis | None = None
    source: str = "Lianxin"
    version: int = 1
    scale: int = 1


_CLOCK = {
    "acknowledge": ("接办", "acknowledge", "首次接办", "first accepted"),
    "first_response": ("首次答复", "first response", "首次人工答复", "first answered by a person"),
    "resolve": ("办结", "resolve", "首次办结", "first resolved"),
    "triage": ("分派", "triage", "分派", "assigned"),
}
_OUTCOME = {
    "solved": "已解决 A",
    "planned": "列入计划 B",
    "explained": "已说明 C",
    "referred": "已转交 D",
    "duplicate": "重复",
    "invalid": "无效",
}
_RATED_ZH = "对某次办结的评价取下一次办结之前的最后一次；沉默不算满意。"
_RATED_EN = "The rating of a resolution is the last before the next one; silence is never satisfied."


def _count(id_: str, zh: str, en: str, formula_zh: str, formula_en: str) -> Definition:
    return Definition(id_, "count", "cases", zh, en, formula_zh, formula_en, "event")


def _rate(
    id_: str,
    zh: str,
    en: str,
    n: tuple[str, str],
    numerator: tuple[str, str],
    *,
    basis: Basis = "event",
    source: str = "Lianxin",
    more: tuple[str, str] = ("", ""),
    scale: int = 1,
) -> Definition:
    formula_zh = f"n：{n[0]}；分子：{numerator[0]}。{more[0]}"
    formula_en = f"n: {n[1]}; numerator: {numerator[1]}. {more[1]}".rstrip()
    return Definition(id_, "rate", "share", zh, en, formula_zh, formula_en, basis, source, scale=scale)


def _duration(
    id_: str, zh: str, en: str, formula_zh: str, formula_en: str, source: str = "Lianxin"
) -> Definition:
    return Definition(id_, "duration", "ms", zh, en, formula_zh, formula_en, "event", source)


def _breached(clock: str) -> Definition:
    zh, en, *_ = _CLOCK[clock]
    return _count(
        f"breached.{clock}",
        f"{zh}超时数",
        f"{en} breaches",
        f"{zh}时限的超时事件数。",
        f"Breach events of the {en} clock.",
    )


def _outcome(code: str) -> Definition:
    return _count(
        f"outcome.{code}",
        f"首次办结结果：{_OUTCOME[code]}",
        f"first outcome {code}",
        f"首次办结且结果为“{_OUTCOME[code]}”的案件数。",
        f"Cases first resolved with outcome {code}.",
    )


def _open_over(days: int) -> Definition:
    return _rate(
        f"open_over.{days}d",
        f"在办超 {days} 天占比",
        f"open for more than {days} days",
        ("在办案件", "open cases"),
        (f"自提出起超过 {days}×24 小时者", f"those submitted more than {days} × 24 h before"),
        basis="stock",
        source="FixMyStreet: age of open reports",
    )


def _on_time(clock: str) -> Definition:
    zh, en, done_zh, done_en = _CLOCK[clock]
    return _rate(
        f"on_time.{clock}",
        f"按时{zh}率",
        f"{en} on time",
        ("该时限到期的案件", f"cases whose {en} clock ran out"),
        (f"{done_zh}不晚于到期时刻者", f"those {done_en} not after it"),
        basis="due",
        source="及时签收率、按时办结率 (Lianyungang 12345 bulletins)",
        more=(
            "未办即为逾期；到期前暂停而仍在暂停者、到期前已归档而未办者不计入 n。",
            "Not done counts as late. Left out: cases paused before it ran out and still paused, and cases "
            "closed before it without being done.",
        ),
    )


def _satisfaction(which: str, zh: str, en: str, numerator: tuple[str, str], scale: int = 1) -> Definition:
    return _rate(
        f"satisfaction.{which}",
        zh,
        en,
        ("得到评价的办结", "resolutions that were rated"),
        numerator,
        basis="invitation",
        source="满意率 (district analyses in the Beijing scheme; many count 基本满意 as full)",
        more=(_RATED_ZH, _RATED_EN),
        scale=scale,
    )


def _achievement(which: str, zh: str, en: str, numerator: tuple[str, str]) -> Definition:
    return _rate(
        f"achievement.{which}",
        zh,
        en,
        ("首次办结的案件", "cases first resolved"),
        numerator,
        source="办成率 (answers to deputies' suggestions)",
    )


def _held(part: str, zh: str, en: str, formula_zh: str, formula_en: str) -> Definition:
    return _duration(
        f"held.{part}",
        zh,
        en,
        f"首次办结在窗内的案件：{formula_zh}。",
        f"Of cases first resolved in the window: {formula_en}.",
    )


FIGURES: tuple[Definition, ...] = (
    _count("submitted", "提出数", "submitted", "提出的案件数。", "Cases submitted."),
    _count("assigned", "首次交办数", "first assigned", "首次交办的案件数。", "Cases first assigned."),
    _count("resolved", "首次办结数", "first resolved", "首次办结的案件数。", "Cases first resolved."),
    _count("closed", "归档数", "closed", "首次归档的案件数。", "Cases first closed."),
    _count("returned", "退单次数", "returns", "退单次数。", "How often a deputy returned a case."),
    _count("reopened", "重办次数", "reopenings", "重办次数。", "How often a case was reopened."),
    *(_breached(clock) for clock in _CLOCK),
    *(_outcome(code) for code in _OUTCOME),
    Definition(
        "open",
        "count",
        "cases",
        "在办数",
        "open",
        "已提出而未归档的案件数。",
        "Cases submitted and not closed.",
        "stock",
    ),
    *(_open_over(days) for days in (30, 60, 90)),
    _duration(
        "acknowledge",
        "接办用时",
        "time to acknowledge",
        "提出至首次接办。",
        "From submission to the first acceptance.",
        "a deputy's 24 h (Funing county)",
    ),
    _duration(
        "first_response",
        "首次答复用时",
        "time to first response",
        "提出至首次由人作出、居民可见的答复或办结；自动回执不算。",
        "From submission to the first answer or resolution by a person that the resident can read; an "
        "acknowledgement is no answer.",
        "Zammad, Chatwoot, WriteToThem",
    ),
    _duration(
        "closure",
        "首次办结用时",
        "time to first resolution",
        "提出至首次办结；之后重办不改变它。",
        "From submission to the first resolution, whatever is reopened later.",
        "Zammad: first close",
    ),
    _duration(
        "final_closure",
        "最终办结用时",
        "time to last resolution",
        "提出至首次归档之前的最后一次办结；在首次归档时计入；从未办结者不计。",
        "From submission to the last resolution before the first closing; counted at that closing; cases "
        "never resolved are left out.",
    ),
    Definition(
        "closure_estimate",
        "estimate",
        "ms",
        "办结用时估计（含未办结）",
        "time to resolution, open cases included",
        "窗内提出的全部案件的 Kaplan–Meier 中位数与第 90 百分位；"
        "未办结者在 as_of（或未办结而归档时）截尾；n < 20 时不给出。",
        "Kaplan–Meier median and 90th percentile of all cases submitted in the window; those not resolved "
        "are censored at as_of (or when closed unresolved); not given where n < 20.",
        "cohort",
        "instead of FixMyStreet's mean of fixed reports, which leaves the slow ones out",
    ),
    _held(
        "unassigned",
        "无人承办时间",
        "time with nobody",
        "提出至首次办结之间无承办代表的时间",
        "time between submission and first resolution in which no deputy held the case",
    ),
    _held(
        "earlier",
        "先前承办人持有时间",
        "time with earlier holders",
        "由办结者以外的代表持有的时间",
        "time in which other deputies than the one who resolved it held the case",
    ),
    _held(
        "resolver",
        "办结人持有时间",
        "time with the resolver",
        "由办结者持有的时间",
        "time in which the deputy who resolved it held the case",
    ),
    _held(
        "paused",
        "暂停时间",
        "paused time",
        "经批准的暂停时间（已包含在上面三项中）",
        "time in which the clocks were paused (part of the three above)",
    ),
    _on_time("acknowledge"),
    _on_time("first_response"),
    _on_time("resolve"),
    _rate(
        "answered",
        "参评率",
        "rated by the resident",
        ("办结次数（每次邀请评价）", "resolutions (each invites the resident to rate)"),
        ("得到评价者", "those rated"),
        basis="invitation",
        more=(_RATED_ZH, _RATED_EN),
    ),
    _satisfaction("strict", "满意率", "satisfied", ("满意者", "satisfied")),
    _satisfaction(
        "broad",
        "满意率（含基本满意）",
        "satisfied or basically satisfied",
        ("满意或基本满意者", "satisfied or basically"),
    ),
    _satisfaction(
        "weighted",
        "满意率（加权）",
        "satisfaction, weighted",
        ("满意计 10、基本满意计 9，满分 10", "10 for satisfied, 9 for basically, of 10"),
        scale=10,
    ),
    _achievement("strict", "办成率", "achieved", ("首次结果为 A 者", "first outcome A")),
    _achievement(
        "broad", "办成率（A+B）", "achieved or planned", ("首次结果为 A 或 B 者", "first outcome A or B")
    ),
    _rate(
        "reopened_30d",
        "30 天内重办率",
        "reopened within 30 days",
        ("首次办结的案件", "cases first resolved"),
        ("首次办结后 30×24 小时内重办者", "those reopened within 30 × 24 h of it"),
    ),
    _rate(
        "returned_share",
        "退单率",
        "cases returned",
        ("首次交办的案件", "cases first assigned"),
        ("至 as_of 至少退单一次者", "those returned at least once by as_of"),
    ),
    _rate(
        "alerts_delivered",
        "提醒送达率",
        "alerts delivered",
        ("首个步骤在窗内的提醒，按渠道", "alerts whose first step lies in the window, by channel"),
        ("截至 as_of 最后一步为已送达者", "those whose last step by as_of is `sent`"),
        more=("跳过者不计入 n。", "Skipped ones are left out."),
    ),
)

BY_ID: dict[str, Definition] = {definition.id: definition for definition in FIGURES}
