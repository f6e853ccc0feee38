"""The workspace: runs in processes of their own, watched and steered; and everything around them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import EM, images, losses, prepared, train

from genlab.core.errors import BadInputError, FailedRunError, UnknownNameError
from genlab.core.events import Progressed, Started
from genlab.runs.sharing import share_folder
from genlab.workspace import Workspace, roots


@pytest.fixture
def lab(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "lab")


@pytest.fixture
def still(lab: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A laboratory whose queue starts nobody, so that tests train in this process."""
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)
    return lab


def until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def test_a_run_in_a_process_of_its_own_is_watched_paused_killed_and_resumed(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"epochs": 4000, "hidden": 16, "latent_dim": 2, "batch_size": 8, "preview_every": 10_000, "device": "cpu"}
    run = lab.train("vae", images(lab), name="long", **values)
    until(lambda: run.state.epoch >= 2)
    assert run.status == "running"
    pid = run.state.pid
    assert os.getsid(pid) == pid, "it would die with the session that started it"
    with pytest.raises(BadInputError, match="is running; stop it"):
        run.delete()
    with pytest.raises(BadInputError, match="already running"):
        run.resume()
    with pytest.raises(TimeoutError, match="still running"):
        run.wait(timeout=0.1)
    run.pause()
    assert run.wait(timeout=60).status == "paused"
    assert run.events("paused")
    at = run.state.step

    run.resume()
    until(lambda: run.state.step > at)
    started = [event for event in run.events("started") if isinstance(event, Started)]
    assert [event.step for event in started] == [0, at]
    os.kill(run.state.pid, signal.SIGKILL)
    until(lambda: run.status == "interrupted")

    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)  # the rest in this process: starting one takes seconds
    epochs = run.state.epoch + 3
    run.resume(epochs=epochs)
    assert train(run) == "finished"
    seen: list[Progressed] = []
    assert run.wait(progress=seen.append, timeout=1).status == "finished"
    assert seen
    assert [event.epoch for event in run.epochs()] == list(range(1, epochs + 1))
    assert run.model().latent_dim == 2
    assert json.loads(run.record())["settings"]["epochs"] == epochs
    assert run.config.settings["epochs"] == 4000


def test_two_starts_give_the_same_numbers(still: Workspace) -> None:
    one, two = prepared(still), prepared(still)
    assert (one.name, two.name) == ("vae on dots", "vae on dots 2")
    assert train(one) == train(two) == "finished"
    assert losses(one) == losses(two)
    other = prepared(still, seed=1)
    assert train(other) == "finished"
    assert losses(other) != losses(one)
    rows = one.scalars()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert {"loss", "validation_loss", "seconds", "step"} <= rows[0].keys()


def test_runs_are_listed_newest_first_and_found_by_id_and_name(still: Workspace) -> None:
    first = prepared(still, name="first")
    time.sleep(1.1)  # ids sort by the second
    second = prepared(still, name="second")
    own = [run for run in still.runs if not run.shipped]
    assert [run.id for run in own] == [second.id, first.id]
    assert still.runs["first"].id == still.runs[first.id].id == first.id
    assert "second" in still.runs
    with pytest.raises(UnknownNameError, match="did you mean 'first'"):
        still.runs["frist"]


def test_names_notes_trash_and_back(still: Workspace) -> None:
    run = prepared(still, name="draft")
    run.rename("better")
    run.note("learned more")
    assert (still.runs["better"].id, still.runs["better"].notes) == (run.id, "learned more")
    with pytest.raises(BadInputError, match="cannot be empty"):
        run.rename("  ")
    with pytest.raises(BadInputError, match="not in the trash"):
        run.restore()
    assert (run.directory / "config.json").exists()
    run.delete()
    assert run.id not in still.runs
    (gone,) = still.runs.deleted()
    gone.restore()
    found = still.runs[run.id]
    assert (found.notes, found.status) == ("learned more", "paused")
    assert still.runs.deleted() == []


def test_what_cannot_work_is_refused_before_anything_is_made(still: Workspace) -> None:
    dots = images(still)
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (UnknownNameError, "no model called 'vea'; did you mean 'vae'", {"model": "vea"}),
        (UnknownNameError, "no parameter of vae called 'betta'", {"betta": 2}),
        (BadInputError, "'beta' of vae must be a number from 0 to 100, and -1 is not", {"beta": -1}),
        (BadInputError, "'epochs' of the training must be a whole number from 1", {"epochs": 0}),
        (UnknownNameError, "no preset called 'fast'", {"preset": "fast"}),
        (UnknownNameError, "no image set called 'dotz'", {"data": "dotz"}),
    ]
    for kind, sentence, change in cases:
        with pytest.raises(kind, match=sentence):
            still.train(**{"model": "vae", "data": dots, **change})
    assert not (still.root / "runs").exists()


def test_resuming_keeps_what_makes_a_run_itself(still: Workspace) -> None:
    run = prepared(still)
    assert train(run) == "finished"
    with pytest.raises(BadInputError, match="has spent its 3 epochs"):
        run.resume()
    for change in ({"seed": 5}, {"batch_size": 4}):
        with pytest.raises(BadInputError, match="is fixed when a run begins"):
            run.resume(epochs=5, **change)
    with pytest.raises(BadInputError, match="would have other weights"):
        run.resume(epochs=5, hidden=32)
    with pytest.raises(BadInputError, match="must be a number"):
        run.resume(epochs=5, learning_rate=-1)
    assert run.status == "finished"
    run.resume(epochs=5, learning_rate=0.01)
    assert run.status == "queued"
    assert train(run) == "finished"
    assert [event.epoch for event in run.epochs()] == [1, 2, 3, 4, 5]


def test_a_lower_rate_really_holds_after_resuming(still: Workspace) -> None:
    same, stopped = prepared(still), prepared(still)
    for run in (same, stopped):
        assert train(run) == "finished"
    same.resume(epochs=4)
    stopped.resume(epochs=4, learning_rate=1e-6)
    before = stopped.model().state_dict()
    assert train(same) == train(stopped) == "finished"
    moved = {run.id: max(float((run.model().state_dict()[k] - before[k]).abs().max()) for k in before) for run in (same, stopped)}  # fmt: skip
    assert moved[stopped.id] < moved[same.id] / 50


def test_queued_and_paused_runs_can_be_paused_and_stopped(still: Workspace) -> None:
    run = prepared(still)
    run.pause()
    assert run.status == "paused"
    run.stop()
    assert run.status == "finished"
    with pytest.raises(BadInputError, match="nothing to pause"):
        run.pause()


def test_waiting_for_a_run_that_failed_raises_its_sentence(still: Workspace) -> None:
    run = prepared(still, "vae_gan", batch_size=8, learning_rate=1.0)
    assert train(run) == "failed"
    with pytest.raises(
        FailedRunError, match=r"stopped being a finite number in step.*lower learning rate, 0.1 instead of 1"
    ):
        run.wait()


def test_shipped_runs_come_last_are_read_only_and_find_their_images_by_content(
    still: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(still, name="own")
    assert train(run) == "finished"
    share_folder(run.directory, tmp_path / "app" / "checkpoints" / "shipped-one")
    monkeypatch.setattr(roots, "app_root", lambda: tmp_path / "app")
    monkeypatch.setattr("genlab.workspace.workspace.app_root", lambda: tmp_path / "app")
    *_, shipped = still.runs
    assert (shipped.id, shipped.shipped, shipped.status) == ("shipped-one", True, "finished")
    assert not list(shipped.directory.rglob("training.pt"))
    for change in (shipped.delete, shipped.resume, shipped.pause, shipped.stop, lambda: shipped.rename("x")):
        with pytest.raises(BadInputError, match="came with genlab"):
            change()
    assert shipped.sample(2).array.shape == (2, 1, 8, 8)
    shutil.move(still.root / "datasets" / "dots", still.root / "datasets" / "renamed")
    assert shipped.images.hash == run.config.data.hash
    shutil.rmtree(still.root / "datasets")
    with pytest.raises(BadInputError, match="not in the laboratory any more"):
        still.images_of(shipped.config.data)


def test_an_estimate_counts_what_training_really_does(still: Workspace) -> None:
    dots = images(still)
    found = still.estimate("vae", dots, epochs=7, batch_size=8, hidden=16, latent_dim=2, device="cpu")
    run = prepared(still, epochs=7)
    assert train(run) == "finished"
    (begun,) = run.events("started")
    assert isinstance(begun, Started)
    assert found.steps == begun.steps
    assert found.parameters == sum(p.numel() for p in run.model().parameters())
    assert found.seconds > 0
    assert 8 * found.parameters < found.memory_bytes < 50 * 2**20
    more = still.estimate("vae", dots, epochs=7, batch_size=32, hidden=512, latent_dim=2, device="cpu")
    assert more.memory_bytes > found.memory_bytes
    fitted = still.estimate("gmm", dots, epochs=5, **EM)
    assert fitted.steps == 5
    assert 0 < fitted.seconds < 5
    assert still.estimate("naive_bayes", dots, epochs=5).steps == 1, "it is done after one"
    assert not (still.root / "runs" / "estimate").exists()


def test_comparing_gives_a_row_a_run(still: Workspace) -> None:
    one, two = prepared(still, name="one"), prepared(still, name="two", beta=4.0)
    assert train(one) == train(two) == "finished"
    rows = still.compare([one, "two"], ["mse"])
    assert [row["name"] for row in rows] == ["one", "two"]
    assert all(row["epochs"] == 3 and row["mse"] > 0 for row in rows)
