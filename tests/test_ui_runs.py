"""From the events of a run to its curves."""

from __future__ import annotations

import numpy as np

from genlab.core.events import Diagnosed, EpochFinished, Event, Progressed, Started
from genlab.figures import Curve, Mark, loss_curves
from genlab.ui.run_curves import curves, marks, points, terms_of


def _started(step: int, time: float) -> Started:
    return Started(
        step=step,
        epoch=step // 10,
        steps=40,
        epochs=4,
        steps_per_epoch=10,
        device="cpu",
        precision="float32",
        time=time,
    )


def _progressed(step: int, time: float, **scalars: float) -> Progressed:
    return Progressed(step=step, epoch=step // 10, scalars=scalars, images_per_second=1, seconds_left=1, time=time)


def test_points_carry_step_fractional_epoch_and_seconds_since_the_start() -> None:
    events: list[Event] = [_started(0, 100.0), _progressed(5, 102.0, kl=1.0, loss=3.0)]
    (point,) = points(events)
    assert (point.step, point.epoch, point.seconds) == (5, 0.5, 2.0)
    assert terms_of([point]) == ["loss", "kl"]


def test_a_resumed_run_takes_back_what_came_after_its_checkpoint_and_its_pause_does_not_count() -> None:
    events: list[Event] = [
        _started(0, 0.0),
        _progressed(10, 1.0, loss=3.0),
        _progressed(15, 1.5, loss=99.0),
        _started(10, 1000.0),
        _progressed(15, 1000.5, loss=2.0),
    ]
    found = points(events)
    assert [point.step for point in found] == [10, 15]
    assert [point.scalars["loss"] for point in found] == [3.0, 2.0]
    assert [point.seconds for point in found] == [1.0, 1.5]


def test_validation_is_a_line_of_its_own_and_axes_are_chosen() -> None:
    events: list[Event] = [
        _started(0, 0.0),
        _progressed(5, 1.0, loss=4.0),
        _progressed(10, 2.0, loss=3.0),
        EpochFinished(step=10, epoch=1, scalars={"loss": 3.5}, validation={"loss": 5.0}, seconds=2.0, time=2.1),
    ]
    training, validation = curves("mine", points(events), ["loss", "absent"], "epoch")
    assert (training.run, training.term, training.validation) == ("mine", "loss", False)
    np.testing.assert_array_equal(training.x, [0.5, 1.0])
    np.testing.assert_array_equal(training.y, [4.0, 3.0])
    assert validation.validation
    np.testing.assert_array_equal(validation.y, [5.0])
    (steps, _) = curves("mine", points(events), ["loss"], "step")
    np.testing.assert_array_equal(steps.x, [5, 10])


def test_learning_rates_that_change_are_terms_of_the_chart() -> None:
    events: list[Event] = [
        _started(0, 0.0),
        _progressed(5, 1.0, loss=4.0),
        _progressed(10, 2.0, loss=3.0).model_copy(update={"learning_rates": {"one": 0.5, "two": 0.5}}),
        _progressed(15, 3.0, loss=3.0).model_copy(update={"learning_rates": {"one": 0.5, "two": 0.1}}),
    ]
    found = points(events)
    assert [set(point.scalars) - {"loss"} for point in found] == [
        set(), {"learning rate"}, {"learning rate (one)", "learning rate (two)"},
    ]  # fmt: skip


def test_diseases_are_marked_where_they_came_and_went() -> None:
    found = {"disease": "overfitting", "message": "…"}
    events: list[Event] = [
        _started(0, 100.0),
        _progressed(10, 101.0, loss=4.0),
        Diagnosed(step=10, epoch=1, **found),
        _progressed(20, 103.0, loss=3.0),
        Diagnosed(step=20, epoch=2, **found, cured=True),
        Diagnosed(step=30, epoch=3, **found),  # beyond the last logged step: not in the chart yet
    ]
    told = [Mark(1.0, "overfitting"), Mark(3.0, "overfitting over", True)]
    assert marks(events, points(events), "seconds") == told
    assert [mark.x for mark in marks(events, points(events), "epoch")] == [1.0, 2.0]


def test_a_guide_is_drawn_where_its_term_is_and_a_mark_in_every_panel() -> None:
    lines = [Curve("a", term, np.arange(3.0), np.array([2.0, 1.5, 1.4])) for term in ("loss", "kl")]
    for log, height in ((False, 1.386), (True, np.log10(1.386))):
        figure = loss_curves(
            lines, panels=True, log=log, guides={"kl": 1.386, "absent": 0.0}, marks=[Mark(1.0, "ill <b>")]
        )
        level = [shape for shape in figure.layout.shapes if shape.y0 == shape.y1 == 1.386]
        assert [(shape.yref, shape.line.dash) for shape in level] == [("y2", "dash")]
        upright = [shape for shape in figure.layout.shapes if shape.x0 == shape.x1 == 1.0]
        assert sorted(shape.xref for shape in upright) == ["x", "x2"]
        (name,) = [note for note in figure.layout.annotations if "theory" in note.text]
        assert name.text == "theory: 1.386"
        assert name.y == height
        (mark,) = [note for note in figure.layout.annotations if "ill" in note.text]
        assert mark.text.endswith("ill &lt;b&gt;")
