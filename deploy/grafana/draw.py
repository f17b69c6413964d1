"""Draw the dashboard from a Prometheus, where there is no Grafana: the same panels, queries and layout.

    python -m deploy.grafana.draw http://127.0.0.1:9090 flow.png --minutes 30

Chinese needs a font that has it, such as Debian's fonts-wqy-microhei or fonts-noto-cjk.
"""

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import matplotlib

matplotlib.use("Agg")  # no screen is needed
from matplotlib import font_manager, pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from deploy.grafana.flow import SAMPLE_CITY, TITLE, rows
from deploy.grafana.panels import WIDTH, Panel, Placed, Query, layout

# Grafana's dark theme, roughly: what is seen here is what is seen there.
BACKGROUND, FIELD, TEXT, FAINT = "#111217", "#181b1f", "#d8d9da", "#8e9196"
COLOURS = {"green": "#73bf69", "yellow": "#f2cc0c", "red": "#f2495c", "blue": "#5794f2", "purple": "#b877d9"}
SERIES = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#8ab8ff", "#c4162a")
FONTS = ("WenQuanYi Micro Hei", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Source Han Sans SC", "PingFang SC")
UNIT_PX = (64, 38)  # of a grid unit, at 100 dots per inch
MOST_BARS = 12


@dataclass(frozen=True, slots=True)
class Series:
    """One series as a panel shows it: its name, (seconds since the epoch, value) in order of time, and
    its colour where the panel names one."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: str | None = None


class Prometheus:
    """Answers a panel's queries, with every district, over the `minutes` up to now, or to `until`
    (seconds since the epoch)."""

    def __init__(self, url: str, minutes: float, until: float | None = None) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self.now = until or time.time()
        self.since = self.now - minutes * 60
        # As many points as Grafana asks for on a panel of this size, and never closer than a scrape.
        self._step = max(5.0, minutes * 60 / 240)

    def read(self, panel: Panel) -> list[Series]:
        """Every series of a panel. Raises httpx.HTTPError, and ValueError for a query that is refused."""
        return [one for query in panel.queries for one in self.series(query, panel)]

    def series(self, query: Query, panel: Panel) -> list[Series]:
        """What one query of a panel finds; raises as `read` does."""
        expression = in_full(query.expression, self._step)
        path: str = "/api/v1/query"
        when: dict[str, float] = {"time": self.now}
        if panel.kind == "lines":
            path, when = "/api/v1/query_range", {"start": self.since, "end": self.now, "step": self._step}
        answer = self._http.get(path, params={"query": expression, **when}).json()
        if answer["status"] != "success":
            raise ValueError(f"{panel.title}: {answer.get('error')} in {expression}")
        return [_series(query, panel, found) for found in answer["data"]["result"]]


def in_full(expression: str, step_s: float = 15.0) -> str:
    """An expression as Grafana sends it, with all districts chosen; `step_s` seconds between points."""
    # Grafana: at least four scrapes (5 s), and the step with one scrape more.
    interval = max(20, math.ceil(step_s + 5))
    return expression.replace("$__rate_interval", f"{interval}s").replace("$district", ".*")


def _series(query: Query, panel: Panel, found: Mapping[str, Any]) -> Series:
    legend = query.legend
    for label, value in found["metric"].items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    points = found["values"] if "values" in found else [found["value"]]
    told = tuple((float(at), float(value)) for at, value in points)
    return Series(panel.names.get(legend, legend), told, COLOURS.get(panel.colours.get(legend, "")))


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """A value as Grafana writes it."""
    if math.isnan(value):
        return "–"
    if unit == "s":
        return _duration(value)
    if unit == "percentunit":
        return f"{value * 100:.{decimals or 0}f}%"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    if unit == "ops":
        return f"{value:.3g}/s"
    return (
        f"{value:,.{decimals}f}"
        if decimals is not None
        else f"{value:,.4g}"
        if value < 10_000
        else f"{value:,.0f}"
    )


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"), (0.001, "ms")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {name}"
    return "0 s" if seconds == 0 else f"{seconds * 1000:.2g} ms"


def colour_of(panel: Panel, value: float) -> str:
    """The colour of the highest threshold that `value` has reached."""
    reached = [colour for at, colour in panel.thresholds if value >= at]
    return COLOURS[(reached or [panel.base])[-1]]


def draw(url: str, out: Path, minutes: float, city: Path = SAMPLE_CITY, until: float | None = None) -> None:
    """Write the picture to `out`. Raises what `Prometheus.read` raises."""
    _choose_font()
    prometheus = Prometheus(url, minutes, until)
    placed = layout(rows(city))
    height = max(at.y + at.height for at in placed) + 1
    figure = pyplot.figure(
        figsize=(WIDTH * UNIT_PX[0] / 100, height * UNIT_PX[1] / 100), facecolor=BACKGROUND
    )
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(prometheus.now))
    figure.text(
        0.008,
        1 - 0.62 / height,
        f"{TITLE}    {when}, {minutes:.3g} min",
        color=TEXT,
        fontsize=15,
        va="center",
    )
    for at in placed:
        if at.panel is None:
            figure.text(
                0.008, 1 - (at.y + 1.55) / height, f"▾ {at.title}", color=TEXT, fontsize=12, va="center"
            )
        else:
            _panel(
                figure, at, at.panel, prometheus.read(at.panel), height, (prometheus.since, prometheus.now)
            )
    figure.savefig(out, dpi=100, facecolor=BACKGROUND)
    pyplot.close(figure)


def _choose_font() -> None:
    there = {font.name for font in font_manager.fontManager.ttflist}
    matplotlib.rcParams["font.family"] = [*(name for name in FONTS if name in there), "DejaVu Sans"]
    matplotlib.rcParams["axes.unicode_minus"] = False


def _panel(
    figure: Figure, at: Placed, panel: Panel, series: Sequence[Series], height: int, span: tuple[float, float]
) -> None:
    gap = 0.08
    frame = figure.add_axes(
        ((at.x + gap) / WIDTH, 1 - (at.y + 1 + at.height - gap) / height, (at.width - 2 * gap) / WIDTH,
         (at.height - 2 * gap) / height)
    )  # fmt: skip
    frame.set_facecolor(FIELD)
    frame.set_xticks([])
    frame.set_yticks([])
    for spine in frame.spines.values():
        spine.set_color("#2c3235")
    frame.text(
        0.15 / at.width,
        1 - 0.45 / at.height,
        panel.title,
        color=TEXT,
        fontsize=9.5,
        va="center",
        transform=frame.transAxes,
    )
    if not series:
        frame.text(0.5, 0.45, "无数据 No data", color=FAINT, ha="center", transform=frame.transAxes)
    elif panel.kind == "stat":
        value = series[0].points[-1][1]
        words = shown(value, panel.unit, panel.decimals)
        frame.text(0.5, 0.4, words, color=colour_of(panel, value), fontsize=26, ha="center", va="center",
                   transform=frame.transAxes)  # fmt: skip
    elif panel.kind == "bars":
        _bars(frame, at, panel, series)
    else:
        _lines(figure, at, panel, series, height, span)


def _bars(frame: Axes, at: Placed, panel: Panel, series: Sequence[Series]) -> None:
    few = [one for one in series if not math.isnan(one.points[-1][1])][:MOST_BARS]
    highest = max((one.points[-1][1] for one in few), default=0) or 1
    top, bottom, left, right = 1 - 0.95 / at.height, 0.2 / at.height, 0.36, 0.86
    line = (top - bottom) / max(len(few), 4)
    for number, one in enumerate(few):
        value = one.points[-1][1]
        y = top - (number + 0.5) * line
        colour = colour_of(panel, value)
        frame.barh(
            y, (right - left), left=left, height=line * 0.62, color="#22262b", transform=frame.transAxes
        )
        frame.barh(y, (right - left) * max(value, 0) / highest, left=left, height=line * 0.62, color=colour,
                   transform=frame.transAxes)  # fmt: skip
        frame.text(
            left - 0.01,
            y,
            one.name,
            color=TEXT,
            fontsize=8,
            ha="right",
            va="center",
            transform=frame.transAxes,
        )
        words = shown(value, panel.unit, panel.decimals)
        frame.text(right + 0.01, y, words, color=colour, fontsize=8.5, va="center", transform=frame.transAxes)
    frame.set_xlim(0, 1)
    frame.set_ylim(0, 1)


def _lines(
    figure: Figure, at: Placed, panel: Panel, series: Sequence[Series], height: int, span: tuple[float, float]
) -> None:
    legend_lines = 1 + (len(series) - 1) // 3
    below = 0.75 + 0.42 * legend_lines
    axes = figure.add_axes(
        ((at.x + 0.95) / WIDTH, 1 - (at.y + 1 + at.height - below) / height, (at.width - 1.25) / WIDTH,
         (at.height - below - 0.95) / height)
    )  # fmt: skip
    axes.set_facecolor(FIELD)
    if panel.stacked:
        _stack(axes, series)
    else:
        for number, one in enumerate(series):
            axes.plot(
                *zip(*one.points, strict=True),
                color=one.colour or SERIES[number % len(SERIES)],
                linewidth=1.4,
                label=one.name,
            )
    highest = max((v for one in series for _, v in one.points if not math.isnan(v)), default=1)
    if panel.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif not panel.stacked:
        axes.set_ylim(0, highest * 1.15 or 1)
    for value, colour in panel.thresholds:
        if value <= highest * 1.5:
            axes.axhline(value, color=COLOURS[colour], linewidth=0.8, linestyle="--")
    axes.set_xlim(*span)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: time.strftime("%H:%M:%S", time.localtime(x))))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if panel.logarithmic:
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: shown(y, panel.unit)))
    axes.tick_params(colors=FAINT, labelsize=7, length=2)
    axes.grid(color="#2c3235", linewidth=0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    offset = -(0.42 * 1.1) / max(at.height - below - 0.95, 1)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.06, offset), ncols=3, fontsize=7.5, frameon=False,
                labelcolor=TEXT, handlelength=1.2, columnspacing=1.0, labelspacing=0.2,
                borderaxespad=0)  # fmt: skip


def _stack(axes: Axes, series: Sequence[Series]) -> None:
    instants = sorted({at for one in series for at, _ in one.points})
    below = [0.0] * len(instants)
    for number, one in enumerate(series):
        there = dict(one.points)
        above = [under + there.get(at, 0.0) for at, under in zip(instants, below, strict=True)]
        axes.fill_between(
            instants,
            below,
            above,
            color=one.colour or SERIES[number % len(SERIES)],
            alpha=0.75,
            label=one.name,
            linewidth=0,
        )
        below = above
    axes.set_ylim(0, max(below) * 1.15 or 1)


def main() -> None:
    """Draw once."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("url", help="the Prometheus")
    arguments.add_argument("out", type=Path, help="the picture (.png)")
    arguments.add_argument("--minutes", type=float, default=30, help="how far back")
    arguments.add_argument(
        "--city", type=Path, default=SAMPLE_CITY, help="whose districts and topics are named"
    )
    arguments.add_argument("--until", type=float, metavar="SECONDS", help="since the epoch, instead of now")
    asked = arguments.parse_args()
    draw(asked.url, asked.out, asked.minutes, asked.city, asked.until)


if __name__ == "__main__":
    main()
