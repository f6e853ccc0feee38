"""A study's report as Markdown and as one HTML file, with charts as SVG: both open without a network."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from genlab.figures.palette import NEUTRAL, colour
from genlab.studies.study import Bars, Chart, Cloud, Entry, HeatMap, Report, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.55 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem;border-bottom:1px solid #8885;text-align:right}
td+td{white-space:nowrap}
th:first-child,td:first-child{text-align:left}
caption,figcaption{caption-side:bottom;text-align:left;opacity:.8;font-size:.9rem;padding:.4rem 0}
figure{margin:1.5rem 0}figure svg{max-width:100%;height:auto;background:#fff;border-radius:.5rem}
"""


def write_report(folder: Path, study: Study, report: Report, made: str) -> Path:
    """Write `report.md` with its charts and `report.html` into a folder; `made` says of what. Returns the HTML file.

    Runs are linked to their directories, two folders up under `runs/`; numbers without runs to `study.json` beside it.
    """
    charts = [
        *map(svg, report.charts),
        *map(bars_svg, report.bars),
        *map(map_svg, report.maps),
        *map(cloud_svg, report.clouds),
    ]
    for place, drawn in enumerate(charts, 1):
        (folder / f"chart-{place}.svg").write_text(drawn, encoding="utf-8")
    for place, picture in enumerate(report.pictures, 1):
        (folder / f"picture-{place}.png").write_bytes(picture.png)
    (folder / "report.md").write_text(_markdown(study, report, made), encoding="utf-8")
    page = folder / "report.html"
    page.write_text(_html(study, report, made, charts), encoding="utf-8")
    return page


def as_text(report: Report) -> str:
    """Findings and tables for a terminal."""
    parts = [f"- {finding}" for finding in report.findings]
    for table in report.tables:
        columns = [[head, *(row[place].text for row in table.rows)] for place, head in enumerate(table.head)]
        widths = [max(map(len, column)) for column in columns]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
            for row in zip(*columns, strict=True)
        ]
        parts.append("\n".join(["", table.title, *lines]))
    return "\n".join(parts)


def svg(chart: Chart) -> str:
    """A chart as SVG text: bands of ± one standard deviation, printed numbers dashed, every line named at its end."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.4), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for index, line in enumerate(chart.lines):
        ink = colour(index // 2 if any(each.printed for each in chart.lines) else index)
        axes.plot(line.x, line.y, "--" if line.printed else "-", color=ink, marker="o", markersize=3, label=line.name)
        if line.spread:
            low, high = ([y + side * s for y, s in zip(line.y, line.spread, strict=True)] for side in (-1, 1))
            axes.fill_between(line.x, low, high, color=ink, alpha=0.18, linewidth=0)
    if chart.log_x:
        axes.set_xscale("log")
    axes.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize="small")
    return _drawn(figure)


def bars_svg(bars: Bars) -> str:
    """Bars as SVG text: what was measured with whiskers of ± one standard deviation, beside it what was printed, in grey."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    FigureCanvasSVG(figure)
    axes, places = figure.add_subplot(), range(len(bars.names))
    for side, heights, ink, name in (
        (-0.2, bars.measured, colour(0), "measured"),
        (0.2, bars.printed, NEUTRAL, "printed"),
    ):
        axes.bar([place + side for place in places], heights, width=0.38, color=ink, label=name)
    axes.errorbar(
        [place - 0.2 for place in places],
        bars.measured,
        bars.spread,
        fmt="none",
        ecolor="black",
        capsize=3,
        linewidth=1,
    )
    axes.set_xticks(places, bars.names)
    axes.set(title=bars.title, ylabel=bars.y_label)
    axes.set_axisbelow(True)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, fontsize="small", ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return _drawn(figure)


def map_svg(heat: HeatMap) -> str:
    """A heat map as SVG text, each share written into its field in per cent."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 1.6 + 0.45 * len(heat.y)), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    known = [value for row in heat.values for value in row if not math.isnan(value)]
    axes.imshow(
        heat.values,
        origin="lower",
        aspect="auto",
        cmap="cividis",
        vmin=min(known, default=0),
        vmax=max(known, default=1),
    )
    middle = (min(known, default=0) + max(known, default=1)) / 2
    for row, values in enumerate(heat.values):
        for column, value in enumerate(values):
            if not math.isnan(value):
                axes.text(
                    column, row, f"{value:.0%}", ha="center", va="center", color="black" if value > middle else "white"
                )
    axes.set_xticks(range(len(heat.x)), [f"{level:g}" for level in heat.x])
    axes.set_yticks(range(len(heat.y)), [f"{level:g}" for level in heat.y])
    axes.set(title=heat.title, xlabel=heat.x_label, ylabel=heat.y_label)
    return _drawn(figure)


def cloud_svg(cloud: Cloud) -> str:
    """Points of a latent plane as SVG text, each group in its colour, with its name where its middle lies."""
    import numpy as np
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5.6), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    points, groups = np.asarray(cloud.points), np.asarray(cloud.groups)
    for index, name in enumerate(dict.fromkeys(sorted(cloud.groups))):
        x, y = points[groups == name].T
        axes.scatter(x, y, s=8, color=colour(index), alpha=0.7, linewidths=0)
        around = {"facecolor": "white", "edgecolor": colour(index), "boxstyle": "round,pad=0.2"}
        axes.text(
            float(np.median(x)), float(np.median(y)), name, ha="center", va="center", fontsize="small", bbox=around
        )
    axes.set(title=cloud.title, xlabel="z1", ylabel="z2")
    axes.grid(alpha=0.25)
    return _drawn(figure)


def _drawn(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    drawn = file.getvalue()
    return drawn[drawn.index("<svg") :]


def _charts(report: Report) -> list[Chart | Bars | HeatMap | Cloud]:
    return [*report.charts, *report.bars, *report.maps, *report.clouds]


def _markdown(study: Study, report: Report, made: str) -> str:
    parts = [f"# {study.title}", f"*{study.paper}*", study.question, made]
    parts.append("## Findings\n\n" + "\n".join(f"- {finding}" for finding in report.findings))
    for table in report.tables:
        rows = [table.head, tuple("---" for _ in table.head), *(tuple(map(_linked, row)) for row in table.rows)]
        parts.append(f"## {table.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows))
        parts.append(table.caption)
    for place, chart in enumerate(_charts(report), 1):
        parts.append(f"![{chart.title}](chart-{place}.svg)\n\n{chart.caption}")
    for place, picture in enumerate(report.pictures, 1):
        parts.append(f"![{picture.title}](picture-{place}.png)\n\n{picture.caption}")
    if study.departures:
        parts.append("## Departures\n\n" + "\n".join(f"- {departure}" for departure in study.departures))
    return "\n\n".join(filter(None, parts)) + "\n"


def _linked(entry: Entry) -> str:
    if entry.kept:
        return f'[{entry.text}](study.json "{entry.kept}")'
    links = (f"[{'·' if place else entry.text}](../../runs/{run})" for place, run in enumerate(entry.runs))
    return " ".join(links) or entry.text


def _html(study: Study, report: Report, made: str, charts: list[str]) -> str:
    escape: Callable[[str], str] = html.escape
    listed = "".join(f"<li>{escape(finding)}</li>" for finding in report.findings)
    body = [f"<h1>{escape(study.title)}</h1><p><em>{escape(study.paper)}</em></p><p>{escape(study.question)}</p>"]
    body.append(f"<p>{escape(made)}</p><h2>Findings</h2><ul>{listed}</ul>")
    body += map(_table, report.tables)
    for chart, drawn in zip(_charts(report), charts, strict=True):
        body.append(f"<figure>{drawn}<figcaption>{escape(chart.caption)}</figcaption></figure>")
    for picture in report.pictures:
        source = base64.b64encode(picture.png).decode()
        shown = f'<img alt="{escape(picture.title)}" src="data:image/png;base64,{source}" style="max-width:100%">'
        body.append(
            f"<h2>{escape(picture.title)}</h2><figure>{shown}<figcaption>{escape(picture.caption)}</figcaption></figure>"
        )
    if study.departures:
        body.append("<h2>Departures</h2><ul>" + "".join(f"<li>{escape(d)}</li>" for d in study.departures) + "</ul>")
    head = f'<meta charset="utf-8"><title>{escape(study.title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _table(table: Table) -> str:
    def field(entry: Entry) -> str:
        runs = " ".join(
            f'<a href="../../runs/{html.escape(run)}/config.json" title="{html.escape(run)}">{"·" if place else html.escape(entry.text)}</a>'
            for place, run in enumerate(entry.runs)
        )
        kept = (
            f'<a href="study.json" title="{html.escape(entry.kept)}">{html.escape(entry.text)}</a>'
            if entry.kept
            else ""
        )
        return f"<td>{runs or kept or html.escape(entry.text)}</td>"

    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.head)
    rows = "".join(f"<tr>{''.join(map(field, row))}</tr>" for row in table.rows)
    caption = f"<caption>{html.escape(table.caption)}</caption>" if table.caption else ""
    return f"<h2>{html.escape(table.title)}</h2><table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def number(value: float, form: str = ".4g") -> str:
    """A number as a table shows it; a dash where it is not known.

    >>> number(float("nan")), number(1234.5678)
    ('–', '1235')
    """
    return "–" if math.isnan(value) else f"{value:{form}}"
