"""From the events of a run to its curves."""

from __future__ import annotations

import numpy as np

from genlab.core.events import EpochFinished, Event, Progressed, Started
from genlab.ui.run_curves import curves, points, terms_of


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
