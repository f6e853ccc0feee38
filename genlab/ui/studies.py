"""The papers' experiments: start one, follow it, read what it found with every number linked to its runs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import streamlit as st

from genlab.ui.messages import boundary, plain
from genlab.ui.pictures import show_figure, show_picture
from genlab.ui.state import choose, choose_image_set, get_workspace
from genlab.workspace.progress import duration

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from genlab.studies import Bars, Chart, Cloud, Entry, HeatMap, Report, Table
    from genlab.workspace.studies import StudyRun

SECONDS = 2.0
FIRM = "\N{NO-BREAK SPACE}"


def choose_study() -> StudyRun:
    """Which experiment, on which images, how thoroughly."""
    from genlab.studies import studies
    from genlab.workspace.studies import StudyRun

    name = choose("Study", {name: study.title for name, study in studies().items()}, "study")
    study = studies()[name]
    st.markdown(f"*{plain(study.paper)}*\n\n{study.question}")
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        st.session_state.setdefault("chosen-study-data", study.data)
        info = choose_image_set(key="study-data", label="Image set", help=f"The study's own is {study.data}.")
    with right:
        size = st.segmented_control(
            "Grid", ("quick", "full"), default="quick", key="grid", bind="query-params", required=True,
            help="Quick takes minutes; full has all levels and seeds.",
        )  # fmt: skip
    with st.spinner("Opening the images …"):
        return StudyRun(get_workspace(), study, quick=size == "quick", data=info.name)


def follow(running: StudyRun) -> None:
    """How far it is, and a button that starts it; looks again while it is at work."""
    active = running.active
    st.fragment(_state, run_every=SECONDS if active else None)(running, active, len(running.results()))


@boundary()
def _state(running: StudyRun, was_active: bool, shown: int) -> None:
    """`shown` of its runs are in the report below, which is made again when all is done, or when somebody asks for it."""
    now, active = running.progress(), running.active
    if was_active and not active:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        failed = f", {now.failed} failed" if now.failed else ""
        training = f", {now.running} training now" if active else ""
        left = f", about {duration(now.seconds_left)} left" if now.seconds_left else ""
        st.progress(now.done / max(1, now.cells), f"{now.done} of {now.cells} runs measured{failed}{training}{left}")
        if active and now.done > shown and st.button("Show what is there", icon=":material/refresh:", key="show-study"):
            st.rerun()
        if active:
            help = "Begin no more runs; those that train now go on to their end. It goes on from there."
            st.button("Pause", icon=":material/pause:", key="pause-study", on_click=running.pause, help=help)
        if active or now.done == now.cells:
            return
        label = "Go on" if now.done else "Run the study"
        if st.button(label, icon=":material/science:", type="primary", key="start-study", width=180):
            running.start(jobs=2)
            st.session_state["anything-active"] = True  # the sidebar looks for its runs, which come a little later
            st.rerun()


def show_report(running: StudyRun) -> None:
    """Findings, tables, charts and pictures of what is there so far."""
    if not running.results():
        st.info(
            "Nothing is measured yet: run the study above; its runs appear on the Runs page too.",
            icon=":material/science:",
        )
        return
    with st.spinner("Putting the report together …"):
        report = running.report()
    st.caption(running.made)
    for finding in report.findings:
        st.markdown(f"- {plain(finding)}")
    for table in report.tables:
        _table(table)
    for place, chart in enumerate(report.charts):
        st.markdown(f"#### {plain(chart.title)}")
        show_figure(chart_figure(chart), chart.caption, key=f"study-{place}")
    for place, bars in enumerate(report.bars):
        st.markdown(f"#### {plain(bars.title)}")
        show_figure(bars_figure(bars), bars.caption, key=f"study-bars-{place}")
    for place, heat in enumerate(report.maps):
        st.markdown(f"#### {plain(heat.title)}")
        show_figure(heat_figure(heat), heat.caption, key=f"study-map-{place}")
    for place, cloud in enumerate(report.clouds):
        st.markdown(f"#### {plain(cloud.title)}")
        show_figure(cloud_figure(cloud), cloud.caption, key=f"study-cloud-{place}")
    _pictures(report)
    if running.study.departures:
        with st.expander("Departures from the paper", icon=":material/alt_route:"):
            st.markdown("\n".join(f"- {departure}" for departure in running.study.departures))
    _takeaways(running)


def _table(table: Table) -> None:
    st.markdown(f"#### {plain(table.title)}")
    rows = [table.head, tuple("---" for _ in table.head), *(tuple(map(_linked, row)) for row in table.rows)]
    st.markdown("\n".join(f"| {' | '.join(row)} |" for row in rows))
    entries = [entry for row in table.rows for entry in row]
    ways = (
        (any(entry.runs for entry in entries), "A number leads to its runs."),
        (
            any(entry.kept for entry in entries),
            "A number leads to the files below; pointed at, it says what it comes from.",
        ),
    )
    st.caption(" ".join([plain(table.caption), *(sentence for there, sentence in ways if there)]))


def _linked(entry: Entry) -> str:
    """A number as a link: to its run, to the comparison of its runs, or to the files; no line breaks within a number."""
    text = plain(entry.text).replace(" ± ", f"{FIRM}±{FIRM}").replace(" = ", f"{FIRM}={FIRM}")
    if entry.kept:
        return f'[{text}](#files "{entry.kept}")'
    if not entry.runs:
        return text
    if len(entry.runs) == 1:
        return f"[{text}](/runs?run={entry.runs[0]})"
    return f"[{text}](/compare?{'&'.join(f'runs={run}' for run in entry.runs)})"


def chart_figure(chart: Chart) -> Figure:
    """A study's chart in the look of all others: bands of one standard deviation, printed numbers dashed."""
    from plotly.graph_objects import Figure, Scatter

    from genlab.figures.palette import colour, styled

    figure = Figure()
    pairs = any(line.printed for line in chart.lines)
    for index, line in enumerate(chart.lines):
        ink = colour(index // 2 if pairs else index)
        shown: dict[str, Any] = {"color": ink, "dash": "dash" if line.printed else "solid"}
        bars = {"type": "data", "array": list(line.spread), "color": ink} if line.spread else None
        figure.add_trace(
            Scatter(x=list(line.x), y=list(line.y), name=line.name, mode="lines+markers", line=shown, error_y=bars)
        )
    figure.update_xaxes(type="log" if chart.log_x else "linear")
    return styled(figure, x=chart.x_label, y=chart.y_label)


def bars_figure(bars: Bars) -> Figure:
    """A study's bars in the look of all others: measured with whiskers of one standard deviation, printed in grey."""
    from plotly.graph_objects import Bar, Figure

    from genlab.figures.palette import NEUTRAL, colour, styled

    names, whiskers = list(bars.names), {"type": "data", "array": list(bars.spread)}
    measured = Bar(x=names, y=list(bars.measured), name="measured", marker={"color": colour(0)}, error_y=whiskers)
    printed = Bar(x=names, y=list(bars.printed), name="printed", marker={"color": NEUTRAL})
    return styled(Figure([measured, printed]), y=bars.y_label, height=280)


def heat_figure(heat: HeatMap) -> Figure:
    """A study's heat map in the look of all others."""
    import numpy as np

    from genlab.figures import setting_map

    return setting_map(np.array(heat.values), x=heat.x, y=heat.y, titles=(heat.x_label, heat.y_label))


def cloud_figure(cloud: Cloud) -> Figure:
    """A study's points of a latent plane in the look of all others, each group's name where its middle lies."""
    import numpy as np

    from genlab.figures import colour, projection_scatter

    points = np.asarray(cloud.points)
    names, labels = np.unique(np.asarray(cloud.groups), return_inverse=True)
    figure = projection_scatter(points, axes=("z1", "z2"), labels=labels, class_names=names.tolist())
    for place, name in enumerate(names.tolist()):
        x, y = np.median(points[labels == place], axis=0).tolist()
        figure.add_annotation(x=x, y=y, text=name, showarrow=False, bgcolor=colour(place), font={"color": "white"})
    return figure


def _pictures(report: Report) -> None:
    from PIL import Image

    for place, picture in enumerate(report.pictures):
        st.markdown(f"#### {plain(picture.title)}")
        show_picture(Image.open(io.BytesIO(picture.png)), picture.caption, key=f"study-picture-{place}")


def _takeaways(running: StudyRun) -> None:
    st.markdown("#### Files")
    with st.container(horizontal=True):
        for file, label, kind in (("report.html", "Report (HTML)", "text/html"), ("report.md", "Report (Markdown)", "text/markdown"),
                                  ("study.json", "Numbers (JSON)", "application/json")):  # fmt: skip
            content = (running.folder / file).read_bytes()
            name = f"{running.folder.name}-{file}"
            st.download_button(
                label, content, name, kind, key=f"take-{file}", icon=":material/download:", on_click="ignore"
            )
