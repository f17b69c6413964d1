"""The dashboard of the whole flow: `python -m deploy.grafana.flow` writes dashboards/flow.json; with another
city's names: `--city FOLDER`.

Figures of the facts are equal on every instance of metrics, so they are `max by`, never `sum`, over instances
(docs/metrics.md); what each process counts of its own is added up.
"""

import argparse
import json
from pathlib import Path

from deploy.grafana import names
from deploy.grafana.panels import BLUE, GREEN, PURPLE, RED, YELLOW, Panel, Query, Row, Threshold, dashboard

HERE = Path(__file__).parent
OUT = HERE / "dashboards" / "flow.json"
SAMPLE_CITY = HERE.parents[1] / "registry" / "wuxi-sample"
UID = "lianxin-flow"
TITLE = "连心 · 全流程 Lianxin, the whole flow"

DAY = 86_400  # seconds
LONG: tuple[Threshold, ...] = ((5 * DAY, YELLOW), (15 * DAY, RED))
MANY_RETURNS: tuple[Threshold, ...] = ((0.1, YELLOW), (0.2, RED))
OURS = 'job=~"intake|router|notifier|metrics"'
INBOUND = 'job="intake", topic="opinions.inbound"'
CLOSURE = "lianxin_closure_seconds"


def rows(city: Path) -> list[Row]:
    """Every row, in the order in which an opinion passes. `city`: the folder with their names."""
    districts, topics = names.districts(city), names.topics(city)
    return [
        Row("一览 · At a glance", _glance()),
        Row("提出 · Intake: what residents say", _intake()),
        Row("交办 · Router: who answers for it", _router()),
        Row("提醒 · Notifier: deputies are told", _notifier()),
        Row("办理 · Cases: where they stand", _cases(districts)),
        Row("办结 · Closure: how long it took", _closure(districts, topics)),
        Row("满意 · Rating: what residents say of it", _rating()),
        Row("运行 · Health: what it runs on", _health()),
    ]


def cases(stage: str) -> str:
    """Cases of some stages (a matcher: `="triage"`), once over all instances."""
    return f'max by (stage, district) (lianxin_cases{{stage{stage}, district=~"$district"}})'


TRIAGE, OPEN, CLOSED = cases('="triage"'), cases('!="closed"'), cases('="closed"')


def events(type_: str, window: str = "1h") -> str:
    """How many events of one type were decided in a window, once over all instances. These counters never
    fall, so the difference is exact where increase() would guess at the window's ends and show too many."""
    told = f'(max by (type) (lianxin_opinion_events_total{{type="{type_}"}}))[{window}:15s]'
    return f"sum(max_over_time({told}) - min_over_time({told})) or vector(0)"


def quantile(metric: str, share: float, by: str = "") -> str:
    """A quantile of times since ever, as exact as the buckets; reports are exact."""
    labels = "le, district, topic" + (", outcome" if "closure" in metric else "")
    once = f'max by ({labels}) ({metric}_bucket{{district=~"$district"}})'
    return f"histogram_quantile({share}, sum by (le{f', {by}' if by else ''}) ({once}))"


def lately(metric: str, share: float, by: str = "") -> str:
    """A quantile of what the processes themselves measured lately."""
    rate = f"rate({metric}_bucket[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le{f', {by}' if by else ''}) ({rate}))"


def _glance() -> tuple[Panel, ...]:
    def stat(title: str, expression: str, about: str, **more: object) -> Panel:
        return Panel(title, "stat", (Query(expression, title),), 4, 4, about, **more)  # type: ignore[arg-type]

    counted = 'max(lianxin_counted_opinions{what="submitted"})'
    waiting = f"sum(1 - lianxin_ready) + sum(1 - up{{{OURS}}})"
    return (
        stat("收到意见 · Opinions", counted, "已立案的意见。Distinct opinions taken up.", base=BLUE),
        stat(
            "待分派 · In triage", f"sum({TRIAGE}) or vector(0)",
            "没有确定代表、等待人工分派。A person decides.", thresholds=((20, YELLOW), (100, RED)),
        ),
        stat("在办 · Open", f"sum({OPEN})", "尚未归档。Not closed.", base=BLUE),
        stat("已归档 · Closed", f"sum({CLOSED}) or vector(0)", "已归档。At their end."),
        stat(
            "半数在此时间内办结 · Half resolved within", quantile(CLOSURE, 0.5),
            "提出至首次办结，历史全部；不足一小时者按首桶估计。Submission to first resolution.",
            unit="s", thresholds=LONG, decimals=1,
        ),
        stat(
            "未就绪进程 · Not ready", waiting, "无应答或在等待的进程。Processes that are down or wait.",
            thresholds=((1, RED),),
        ),
    )  # fmt: skip


def _intake() -> tuple[Panel, ...]:
    said = (
        ("opinion.submitted", "提出 submitted"), ("opinion.supported", "附议 supported"),
        ("opinion.withdrawn", "撤回 withdrawn"), ("command.refused", "被拒 refused"),
    )  # fmt: skip
    return (
        Panel(
            "受理 · Accepted a second", "lines",
            (
                Query(f"sum(rate(lianxin_published_total{{{INBOUND}}}[$__rate_interval]))", "受理 accepted"),
                Query(
                    f"sum(rate(lianxin_unconfirmed_total{{{INBOUND}}}[$__rate_interval])) or vector(0)",
                    "未确认 unconfirmed",
                ),
            ),
            12, 7, "经 Kafka 确认方以 202 答复；未确认者答 503。202 once Kafka has it; else 503.", unit="ops",
        ),
        Panel(
            "居民所言，一小时内 · Said in the last hour", "bars",
            tuple(Query(events(type_), name) for type_, name in said), 12, 7,
            "按已作出的决定计，自监控首次所见起。As decided, from when Prometheus saw them.",
            base=BLUE, decimals=0,
        ),
    )  # fmt: skip


def _router() -> tuple[Panel, ...]:
    kinds = ("opinion.assigned", "opinion.triaged", "opinion.returned", "opinion.transferred")
    lag = "sum by (group) (max by (group, topic, partition) (lianxin_consumer_lag))"
    return (
        Panel(
            "去向，一小时内 · Decided in the last hour", "lines",
            tuple(Query(events(kind), kind) for kind in kinds), 8, 7,
            "交办、转人工、退单、转办。Assigned, to triage, returned, handed on.",
            names={kind: names.EVENTS[kind] for kind in kinds},
        ),
        Panel(
            "待处理记录 · Records waiting", "lines", (Query(lag, "{{group}}"),), 8, 7,
            "各消费组积压。From what is committed to the log's end.", thresholds=((500, RED),),
        ),
        Panel(
            "批处理用时 p99 · Time of a batch", "lines",
            (Query(lately("lianxin_batch_seconds", 0.99, "group"), "{{group}}"),), 8, 7,
            "从取到一批至结果落盘；到 20 秒进程自行重启。At 20 s the process ends itself.",
            unit="s", logarithmic=True, thresholds=((10, RED),),
        ),
    )  # fmt: skip


def _notifier() -> tuple[Panel, ...]:
    deliveries, latency = "lianxin_alert_deliveries_total", "lianxin_alert_latency_seconds"
    step = f'sum by (channel, status) (rate({deliveries}{{status!="attempting"}}[$__rate_interval]))'
    return (
        Panel(
            "提醒结果 · Deliveries a second", "lines", (Query(step, "{{channel}} {{status}}"),), 8, 7,
            "各渠道各结果。By channel and result.", unit="ops", names=names.DELIVERIES,
        ),
        Panel(
            "受理到收件箱 · Receipt to inbox", "lines",
            (Query(lately(latency, 0.5), "p50"), Query(lately(latency, 0.99), "p99")), 8, 7,
            "从受理到首次交办进入收件箱；目标 p99 < 0.25 s。To the first assignment's standing in an inbox.",
            unit="s", logarithmic=True, thresholds=((0.25, YELLOW), (10, RED)),
        ),
        Panel(
            "累计与在线 · In all, and online", "bars",
            (
                Query(f'sum({deliveries}{{status="sent"}})', "送达 sent"),
                Query(f'sum({deliveries}{{status="failed"}}) or vector(0)', "失败待重试 failed"),
                Query(f'sum({deliveries}{{status="dead"}}) or vector(0)', "放弃 given up"),
                Query("sum(lianxin_repeated_after_crash_total) or vector(0)", "崩溃后重发 repeated"),
                Query("sum(lianxin_alert_streams)", "在线收件箱 open streams"),
            ),
            8, 7, "自进程启动以来。Since the processes were started.", base=BLUE, decimals=0,
        ),
    )  # fmt: skip


def _cases(districts: dict[str, str]) -> tuple[Panel, ...]:
    stages = {"triage": RED, "assigned": YELLOW, "accepted": BLUE, "in_progress": PURPLE, "resolved": GREEN}
    in_order = tuple(Query("sum({}) or vector(0)".format(cases(f'="{stage}"')), stage) for stage in stages)
    return (
        Panel(
            "各环节在办 · Open by stage", "lines", in_order, 10, 8,
            "在办案件按环节，自下而上。Open cases by stage, from below.", stacked=True,
            names={stage: names.STAGES[stage] for stage in stages}, colours=stages,
        ),
        Panel(
            "各区县在办 · Open by district", "bars",
            (Query(f"sort_desc(sum by (district) ({OPEN}))", "{{district}}"),), 7, 8,
            "在办案件按当前区县。Open cases by district.", base=BLUE, names=districts, decimals=0,
        ),
        Panel(
            "超时与督办，一小时内 · Missed in the last hour", "lines",
            (
                Query(events("clock.breached"), "超时 breached"),
                Query(events("opinion.supervised"), "督办 supervised"),
            ),
            7, 8, "到期未办的时限，每个只计一次。Clocks that ran out, told once.", thresholds=((10, RED),),
        ),
    )  # fmt: skip


def _closure(districts: dict[str, str], topics: dict[str, str]) -> tuple[Panel, ...]:
    steps = (
        ("lianxin_acknowledge_seconds", "接办 accepted"),
        ("lianxin_first_response_seconds", "首次答复 answered"),
        (CLOSURE, "办结 resolved"), ("lianxin_final_closure_seconds", "最终办结 last resolved"),
    )  # fmt: skip
    by_step = tuple(
        Query(quantile(metric, share), f"{name} p{share * 100:.0f}")
        for metric, name in steps
        for share in (0.5, 0.9)
    )
    week = "increase(lianxin:closure_seconds_bucket:sum[7d])"
    outcomes = f'max by (district, topic, outcome) ({CLOSURE}_count{{district=~"$district"}})'

    def split(title: str, by: str, known: dict[str, str]) -> Panel:
        query = Query(f"sort_desc({quantile(CLOSURE, 0.9, by)})", f"{{{{{by}}}}}")
        about = "提出至首次办结的第九十百分位。90th percentile of submission to first resolution."
        return Panel(title, "bars", (query,), 8, 8, about, unit="s", thresholds=LONG, names=known, decimals=1)

    return (
        Panel(
            "提出起各步用时 · From submission to each", "bars", by_step, 8, 8,
            "历史全部，桶内插值；精确值见报告。Since ever, as exact as the buckets.",
            unit="s", thresholds=LONG, decimals=1,
        ),
        split("各区县办结 p90 · By district", "district", districts),
        split("各主题办结 p90 · By topic", "topic", topics),
        Panel(
            "办理结果 · Outcomes", "bars",
            (Query(f"sort_desc(sum by (outcome) ({outcomes}))", "{{outcome}}"),), 8, 7,
            "首次办结的结果。Of first resolutions.", base=BLUE, names=names.OUTCOMES, decimals=0,
        ),
        Panel(
            "办结用时走势，近 7 天 · Resolution, of the last 7 days", "lines",
            tuple(Query(f"histogram_quantile({part}, {week})", f"p{part * 100:.0f}") for part in (0.5, 0.9)),
            16, 7, "各时刻之前七天内办结者，全市。Resolved in the seven days before, the whole city.",
            unit="s", thresholds=LONG,
        ),
    )  # fmt: skip


def _rating() -> tuple[Panel, ...]:
    kinds = ("opinion.resolved", "opinion.rated", "opinion.reopened", "opinion.closed")

    def share(title: str, of: str, among: str, about: str, base: str, steps: tuple[Threshold, ...]) -> Panel:
        told = 'sum(max by (type) (lianxin_opinion_events_total{{type="{}"}}))'.format
        query = Query(f"({told(of)} or vector(0)) / ({told(among)} > 0)", title)
        return Panel(
            title, "stat", (query,), 3, 7, about, unit="percentunit", base=base, thresholds=steps, decimals=0
        )

    scored = "max by (score) (lianxin_ratings_total{})".format
    content = "sum(" + scored('{score=~"satisfied|basically"}') + ")"
    return (
        Panel(
            "满意率 · Satisfied, of those who rated", "stat",
            (Query(f"{content} / (sum({scored('')}) > 0)", "满意率 satisfied"),), 4, 7,
            "满意与基本满意 ÷ 全部评价；未评价者不计。Satisfied or basically so, of all ratings.",
            unit="percentunit", base=RED, thresholds=((0.7, YELLOW), (0.9, GREEN)), decimals=0,
        ),
        Panel(
            "评价 · Ratings by score", "bars",
            (Query(f"sort_desc({scored('')})", "{{score}}"),), 5, 7,
            "居民的评价，累计。Residents' ratings, in all.", base=BLUE, names=names.SCORES, decimals=0,
        ),
        share(
            "参评率 · Rated", "opinion.rated", "opinion.resolved",
            "评价 ÷ 办结；沉默不算满意。Silence is no satisfaction.",
            RED, ((0.3, YELLOW), (0.6, GREEN)),
        ),
        share(
            "重办率 · Reopened", "opinion.reopened", "opinion.resolved",
            "不满意而重办 ÷ 办结。Reopened by a dissatisfied resident.", GREEN, MANY_RETURNS,
        ),
        share(
            "退单率 · Returned", "opinion.returned", "opinion.assigned",
            "退单 ÷ 交办。Returned by a deputy.", GREEN, MANY_RETURNS,
        ),
        Panel(
            "办结与评价，一小时内 · Resolved and rated", "lines",
            tuple(Query(events(kind), kind) for kind in kinds), 6, 7,
            "办结、评价、重办、归档。In the last hour.", names={kind: names.EVENTS[kind] for kind in kinds},
        ),
    )  # fmt: skip


def _health() -> tuple[Panel, ...]:
    memory = f"sum by (job, process) (process_resident_memory_bytes{{{OURS}}})"
    return (
        Panel(
            "告警 · Alerts firing", "bars",
            (Query('count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"),), 8, 7,
            "Watchdog 应始终在列；含义见 docs/operations.md。Watchdog always is.", base=YELLOW, decimals=0,
            names={"Watchdog": "告警链路正常 Watchdog"},
        ),
        Panel(
            "搁置与中断 · Set aside, put off", "lines",
            (
                Query("sum(increase(lianxin_dead_letters_total[5m])) or vector(0)", "死信 dead letters"),
                Query("sum(max by (job, topic) (lianxin_parked_keys)) or vector(0)", "搁置 parked keys"),
                Query("sum(increase(lianxin_outages_total[5m])) or vector(0)", "推迟 put off"),
            ),
            8, 7, "无法处理的记录、其后等待者、因外部不可用而推迟的工作。In five minutes.",
            thresholds=((1, RED),),
        ),
        Panel(
            "内存 · Memory", "lines", (Query(memory, "{{job}} {{process}}"),), 8, 7,
            "各类进程常驻内存。Resident memory of each kind of process.", unit="bytes",
        ),
    )  # fmt: skip


def made(city: Path = SAMPLE_CITY) -> str:
    """The dashboard's file."""
    return json.dumps(dashboard(UID, TITLE, rows(city)), ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    """Write it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument(
        "--city", type=Path, default=SAMPLE_CITY, help="whose districts and topics are named"
    )
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(made(arguments.parse_args().city), "utf-8")


if __name__ == "__main__":
    main()
