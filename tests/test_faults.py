"""What may go wrong while training goes on: killed, paused, full disks, numbers that stop being numbers."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import EM, images, losses, prepared, train, train_in_child

from genlab.core.errors import BadInputError
from genlab.core.events import Failed, Progressed
from genlab.jobs import worker
from genlab.jobs.worker import Worker
from genlab.runs import checkpoints as saving
from genlab.runs.checkpoints import checkpoints, newest_intact
from genlab.runs.directory import RunDirectory
from genlab.workspace import Run, Workspace

KILLS = 20


@pytest.fixture
def lab(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "lab")


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.model().state_dict()


def assert_same_to_the_bit(one: Run, other: Run) -> None:
    assert losses(one) == losses(other)
    for (name, a), b in zip(weights(one).items(), weights(other).values(), strict=True):
        assert torch.equal(a, b), name


def _killed_while_saving(run: Run, context: Any, chance: random.Random) -> bool:
    """Start a worker that is killed in its first or second checkpoint; whether it left that unfinished."""
    delay = chance.choice([0, chance.uniform(0, 0.004)])  # between two files, or somewhere in the next ones
    child = context.Process(target=train_in_child, args=(str(run.directory), chance.randint(1, 8), delay))
    child.start()
    child.join()
    return any((run.directory / "checkpoints").glob(f".step-*.{child.pid}.tmp"))


def test_killed_twenty_times_while_saving_and_still_the_same_to_the_bit(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # where the server of workers finds what it imports
    context = multiprocessing.get_context("forkserver")  # workers of one that has PyTorch, and nothing of other tests
    context.set_forkserver_preload(["tiny"])
    values = {"epochs": 60, "hidden": 256, "preview_every": 1000}
    whole = prepared(lab, name="whole", **values)
    assert train(whole) == "finished"
    run = prepared(lab, name="killed", **values)  # not before: whoever lists runs starts one that waits
    chance, inside = random.Random(0), 0
    for _ in range(KILLS):
        before = newest_intact(run.directory / "checkpoints", resumable=True)
        inside += _killed_while_saving(run, context, chance)
        after = newest_intact(run.directory / "checkpoints", resumable=True)
        assert after is not None or before is None
        if before and after:
            assert after.step >= before.step
        if after:
            assert run.model(after.step).latent_dim == 2
    assert inside >= KILLS // 4, "the kills missed the moment they were meant for"
    assert run.status == "interrupted"
    assert train(run) == "finished"
    assert_same_to_the_bit(run, whole)
    assert not list((run.directory / "checkpoints").glob(".*"))


@pytest.mark.parametrize(("model", "values"), [("vae", {}), ("gan", {"hidden": 16, "batch_size": 8}), ("gmm", {**EM, "epochs": 6})])  # fmt: skip
def test_paused_at_any_step_and_resumed_is_the_same_to_the_bit(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch, model: str, values: dict[str, Any]
) -> None:
    whole = prepared(lab, model, name="whole", **values)
    assert train(whole) == "finished"
    run = prepared(lab, model, name="paused", **values)
    looks = iter(range(10_000))

    def wished(self: Worker) -> bool:
        if next(looks) % 3 == 1:
            self.wish = "pause"
        return bool(self.wish)

    monkeypatch.setattr(Worker, "_wished", wished)
    stops = []
    while (status := train(run)) == "paused":
        stops.append(run.state.step)
    assert status == "finished"
    assert len(stops) >= 1
    if model != "gmm":
        per_epoch = run.events("started")[0].steps_per_epoch
        assert any(step % per_epoch for step in stops), "no pause fell into the middle of an epoch"
    assert_same_to_the_bit(run, whole)


def test_a_wall_clock_checkpoint_falls_into_an_epoch_and_goes_on_to_the_bit(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepared(lab, name="whole", checkpoint_every=100)
    assert train(whole) == "finished"
    run = prepared(lab, name="slow", checkpoint_every=100)
    monkeypatch.setattr(worker, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    left = iter(range(100))

    def cut(self: Worker, *_: Any) -> bool:
        if next(left) == 4:
            raise KeyboardInterrupt
        return False

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "_wished", cut)
        with pytest.raises(KeyboardInterrupt):
            train(run)
    saved = newest_intact(run.directory / "checkpoints", resumable=True)
    assert saved is not None
    assert saved.step % whole.events("started")[0].steps_per_epoch
    assert train(run) == "finished"
    assert_same_to_the_bit(run, whole)


def test_previews_leave_the_noise_of_training_alone(lab: Workspace) -> None:
    often = prepared(lab, name="often")
    assert train(often) == "finished"
    never = prepared(lab, name="never", preview_every=1000)
    assert train(never) == "finished"
    assert losses(often) == losses(never)
    drawn = [event.what for event in often.events("sampled")]
    assert drawn.count("originals") == 1
    assert drawn.count("samples") == drawn.count("reconstructions") == 3


def test_a_loss_that_stops_being_a_number_names_its_term_and_offers_a_lower_rate(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(lab, epochs=4)
    step = Worker._after_epoch

    def spoilt_after_two(self: Worker, event: Any, training: Any, previews: Any) -> None:
        step(self, event, training, previews)
        if event.epoch == 2:
            with torch.no_grad():
                next(training.model.parameters()).fill_(float("nan"))

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "_after_epoch", spoilt_after_two)
        assert train(run) == "failed"
    (failed,) = run.events("failed")
    assert isinstance(failed, Failed)
    assert failed.term == "reconstruction"
    assert "'reconstruction' stopped being a finite number" in run.state.message
    assert "epoch 2" in run.state.remedy
    assert "0.0001 instead of 0.001" in run.state.remedy
    good = newest_intact(run.directory / "checkpoints", resumable=True)
    assert good is not None
    assert good.epoch == 2
    assert all(bool(value.isfinite().all()) for value in weights(run).values())
    monkeypatch.setattr(lab.runs, "pump", lambda: None)
    run.resume(learning_rate=1e-4)
    assert train(run) == "finished"
    assert [event.epoch for event in run.epochs()] == [1, 2, 3, 4]


def test_weights_spoilt_by_the_very_last_step_never_become_a_checkpoint(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(lab, epochs=1, learning_rate=1.0)
    follow = Worker._after_epoch

    def spoil(self: Worker, event: Any, training: Any, previews: Any) -> None:
        with torch.no_grad():
            next(training.model.parameters()).fill_(float("inf"))
        follow(self, event, training, previews)

    monkeypatch.setattr(Worker, "_after_epoch", spoil)
    assert train(run) == "failed"
    assert "weights of" in run.state.message
    assert "begin again" in run.state.remedy
    assert not checkpoints(run.directory / "checkpoints")


def test_a_rate_far_too_high_names_the_term_and_the_rates(lab: Workspace) -> None:
    run = prepared(lab, "vae_gan", batch_size=8, learning_rate=1.0)
    assert train(run) == "failed"
    assert "'reconstruction' stopped being a finite number in step" in run.state.message
    assert run.state.remedy.endswith("a lower learning rate, 0.1 instead of 1.")
    assert not checkpoints(run.directory / "checkpoints")


class _FullAfter:
    """A disk with room for some bytes: writing more raises what a full disk raises."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, path: Path, fill: Any) -> None:
        with path.open("wb") as file:
            fill(file)
        self.room -= path.stat().st_size
        if self.room < 0:
            path.write_bytes(path.read_bytes()[:10])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_full_disk_fails_in_one_sentence_and_keeps_what_there_was(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(lab, epochs=6)
    with monkeypatch.context() as patched:
        patched.setattr(saving, "write_synced", _FullAfter(60_000))
        assert train(run) == "failed"
    assert run.state.message.startswith("The disk is full: the checkpoint of step")
    good = newest_intact(run.directory / "checkpoints", resumable=True)
    assert good is not None
    assert 0 < good.epoch < 6
    assert not list((run.directory / "checkpoints").glob(".*"))
    assert train(run) == "finished"
    assert [event.epoch for event in run.epochs()] == [1, 2, 3, 4, 5, 6]


def test_a_really_full_disk(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if os.system(f"mount -t tmpfs -o size=1200k tmpfs {place} 2>/dev/null"):
        pytest.skip("no permission to mount a small disk here")
    try:
        lab = Workspace(place)
        run = prepared(lab, epochs=400, hidden=64, preview_every=1000)
        filler = (place / "filler").open("wb")
        filler.write(b"x" * 500_000)
        filler.close()
        assert train(run) == "failed"
        assert "disk is full" in run.state.message
        assert run.status == "failed"
        assert [event.kind for event in run.events()][-1] == "failed"
        good = newest_intact(run.directory / "checkpoints", resumable=True)
        assert good is not None
        (place / "filler").unlink()
        lab.runs.pump = lambda: None  # type: ignore[method-assign]
        run.resume(epochs=good.epoch + 1)
        assert train(run) == "finished"
    finally:
        os.system(f"umount {place}")


def test_a_set_that_is_gone_or_changed_is_said_so_and_one_that_moved_is_found(lab: Workspace) -> None:
    run = prepared(lab)
    folder = lab.root / "datasets"
    (folder / "dots").rename(folder / "renamed")
    assert train(run) == "finished"
    other = lab.prepare("vae", images(lab, 30, "other"), epochs=1)
    (folder / "other").rename(lab.root / "away")
    assert train(other) == "failed"
    assert other.state.message.startswith("The image set 'other' of this run is not in the laboratory any more")


def test_an_unexpected_error_is_told_with_its_type_and_leaves_a_traceback(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(lab)
    monkeypatch.setattr(Worker, "_go_on", lambda self, training: 1 / 0)
    assert train(run) == "failed"
    assert run.state.message == "ZeroDivisionError: division by zero"
    assert "_prepare" in (run.directory / "artefacts" / "traceback.txt").read_text()


def test_one_image_is_refused_before_anything_is_made(lab: Workspace) -> None:
    with pytest.raises(BadInputError, match="only one distinct image"):
        lab.prepare("vae", images(lab, 1, "alone"))
    assert not (lab.root / "runs").exists()


def test_only_the_last_line_of_a_killed_writer_is_lost(lab: Workspace) -> None:
    run = prepared(lab)
    assert train(run) == "finished"
    path = run.directory / "events.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    assert len(run.events()) == content.count(b"\n") - 1
    RunDirectory(run.directory).amend({}, {"epochs": 4})
    assert train(run) == "finished"
    assert [event.epoch for event in run.epochs()] == [1, 2, 3, 4]
    assert all(
        np.isfinite(event.scalars["loss"]) for event in run.events("progressed") if isinstance(event, Progressed)
    )
