"""The run directory: events, state, checkpoints, and what happens when files are torn, damaged or too new."""

from __future__ import annotations

import io
import itertools
import json
import logging
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import prepared, train

from genlab.core.errors import BadInputError
from genlab.core.events import EpochFinished, Paused, Sampled, Started
from genlab.runs import sharing
from genlab.runs.checkpoints import TRAINING, WEIGHTS, best, checkpoints, evenly, newest_intact, save_checkpoint
from genlab.runs.config import read_config, read_state
from genlab.runs.events import EventLog, read_events, without_taken_back
from genlab.runs.files import write_atomically
from genlab.workspace import Run, Workspace


def epoch(number: int) -> EpochFinished:
    return EpochFinished(step=number * 10, epoch=number, scalars={"loss": 1 / number}, seconds=0.5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = prepared(Workspace(tmp_path_factory.mktemp("lab")))
    assert train(run) == "finished"
    return run


@pytest.fixture
def copied(trained: Run, tmp_path: Path) -> Run:
    """A copy of the trained run that a test may spoil."""
    lab = Workspace(tmp_path / "copy")
    shutil.copytree(trained.lab.root, lab.root)
    return lab.runs[trained.id]


# events


def test_a_torn_last_line_is_invisible_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(epoch(1))
    whole = path.read_bytes()
    log.append(epoch(2))
    full = path.read_bytes()
    log.close()
    offset = len(whole)
    for cut in range(offset, len(full)):
        path.write_bytes(full[:cut])
        assert read_events(path, offset) == ([], offset)
    path.write_bytes(full)
    (second,), end = read_events(path, offset)
    assert isinstance(second, EpochFinished)
    assert (second.epoch, end) == (2, len(full))


def test_a_writer_cuts_off_the_line_that_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(epoch(1).model_dump_json().encode() + b'\n{"kind": "epoch", "ste')
    log = EventLog(path)
    log.append(epoch(2))
    log.close()
    events, _ = read_events(path)
    assert [event.step for event in events if isinstance(event, EpochFinished)] == [10, 20]
    assert path.read_bytes().count(b"\n") == 2


def test_a_damaged_line_in_the_middle_is_left_out_with_a_remark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [epoch(1).model_dump_json(), '{"kind": "from the future"}', "\x00\x00", epoch(2).model_dump_json()]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    with caplog.at_level(logging.WARNING):
        events, _ = read_events(tmp_path / "events.jsonl")
    assert len(events) == 2
    assert caplog.text.count("left out") == 2


def test_every_event_can_be_read_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    log, offset = EventLog(tmp_path / "events.jsonl"), 0
    for number in range(1, 5):
        log.append(epoch(number))
        events, offset = read_events(tmp_path / "events.jsonl", offset)
        assert [event.time > 0 for event in events] == [True]
    log.close()
    assert read_events(tmp_path / "nothing.jsonl") == ([], 0)


class _Full(io.BytesIO):
    """A file on a disk that takes 10 bytes more."""

    def write(self, data: Any) -> int:
        super().write(bytes(data)[:10])
        raise OSError(28, "No space left on device")


def test_the_end_of_an_epoch_counts_once_after_two_starts_from_its_last_step() -> None:
    def started(step: int, epoch: int) -> Started:
        return Started(
            step=step, epoch=epoch, steps=40, epochs=4, steps_per_epoch=10, device="cpu", precision="float32"
        )

    def ended(epoch: int) -> EpochFinished:
        return EpochFinished(step=10 * epoch, epoch=epoch, scalars={}, seconds=1.0)

    paused = Paused(step=20, epoch=1)  # at the last step of epoch 2, before its end was told
    history = [started(0, 0), ended(1), paused, started(20, 1), ended(2), ended(3), started(20, 1), ended(2)]
    kept = without_taken_back(history)
    assert [event.epoch for event in kept if isinstance(event, EpochFinished)] == [1, 2]
    assert paused in kept


def test_a_full_disk_leaves_the_events_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(epoch(1))
    before = path.read_bytes()
    real, log._file = log._file, _Full(before)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        log.append(epoch(2))
    assert log._file.getvalue() == before  # type: ignore[attr-defined]
    log._file = real
    log.append(epoch(3))
    log.close()
    assert len(read_events(path)[0]) == 2


# configuration and state


def test_files_from_a_newer_genlab_are_refused_in_one_sentence(copied: Run) -> None:
    manifest = sorted((copied.directory / "checkpoints").glob("*/manifest.json"))[-1]
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**document, "format": 99}))
    with pytest.raises(BadInputError, match=r"manifest.json|step-\d+ was written by a newer genlab \(format 99"):
        copied.model()
    config = copied.directory / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "format": 7, "new": {"field": 1}}))
    with pytest.raises(BadInputError, match=r"config.json was written by a newer genlab \(format 7"):
        read_config(copied.directory)


def test_a_damaged_configuration_or_state_is_said_so(copied: Run) -> None:
    (copied.directory / "state.json").write_text("{")
    assert read_state(copied.directory).status == "interrupted"
    (copied.directory / "config.json").write_text("[]")
    with pytest.raises(BadInputError, match="cannot be read as a run's configuration"):
        read_config(copied.directory)
    with pytest.raises(BadInputError, match="is not a run"):
        read_config(copied.directory.parent)


def test_replacing_a_file_leaves_the_old_one_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    write_atomically(path, b"old")
    monkeypatch.setattr("genlab.runs.files.os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


# checkpoints


def _saved(folder: Path, step: int, loss: float, size: int = 4) -> None:
    model = torch.nn.Linear(size, 1)
    save_checkpoint(folder, model, {"step": step}, step=step, epoch=step, loss=loss)


def test_the_newest_two_and_the_best_stay_whole_and_older_ones_keep_their_weights(tmp_path: Path) -> None:
    for step, loss in enumerate([5.0, 1.0, 3.0, 4.0, 2.0], start=1):
        _saved(tmp_path, step, loss)
    found = checkpoints(tmp_path)
    assert [checkpoint.step for checkpoint in found] == [1, 2, 3, 4, 5]
    assert [checkpoint.step for checkpoint in found if (checkpoint.path / TRAINING).exists()] == [2, 4, 5]
    chosen = best(found)
    assert chosen is not None
    assert chosen.step == 2
    newest = newest_intact(tmp_path)
    assert newest is not None
    assert newest.step == 5


def test_large_checkpoints_keep_no_snapshots_and_small_ones_a_bounded_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(1, 31):
        _saved(tmp_path / "small", step, 1 / step)
    kept = [checkpoint.step for checkpoint in checkpoints(tmp_path / "small")]
    assert len(kept) == 16 + 2
    assert kept[0] == 1
    assert max(later - earlier for earlier, later in itertools.pairwise(kept)) <= 4
    monkeypatch.setattr("genlab.runs.checkpoints.SNAPSHOT_BYTES", 10)
    (tmp_path / "large").mkdir()
    for step in range(1, 6):
        _saved(tmp_path / "large", step, 1 / step)
    assert [checkpoint.step for checkpoint in checkpoints(tmp_path / "large")] == [4, 5]


def test_snapshots_are_spread() -> None:
    kept = evenly(list(range(0, 1000, 10)), 10)
    assert (len(kept), kept[0], kept[-1]) == (10, 0, 990)
    assert max(later - earlier for earlier, later in itertools.pairwise(kept)) <= 320
    assert evenly([1, 2], 5) == [1, 2]


@pytest.mark.parametrize("name", [WEIGHTS, TRAINING])
def test_one_flipped_bit_sends_back_to_the_checkpoint_before(copied: Run, name: str) -> None:
    folder = copied.directory / "checkpoints"
    newest = newest_intact(folder, resumable=True)
    assert newest is not None
    content = bytearray((newest.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (newest.path / name).write_bytes(bytes(content))
    earlier = newest_intact(folder, resumable=True)
    assert earlier is not None
    assert earlier.step < newest.step
    weights = newest_intact(folder)
    assert weights is not None
    assert weights.step == (newest.step if name == TRAINING else earlier.step)


def test_a_checkpoint_of_another_network_is_refused_in_words(copied: Run) -> None:
    copied._files.amend({"hidden": 17}, {})
    with pytest.raises(BadInputError, match="belong to a network of another shape"):
        copied.model()


def test_a_model_is_loaded_once_and_of_the_step_that_is_asked_for(copied: Run) -> None:
    assert copied.model() is copied.model()
    steps = [checkpoint.step for checkpoint in checkpoints(copied.directory / "checkpoints")]
    assert len(steps) == 3
    first, last = copied.model(steps[0]).state_dict(), copied.model(steps[-1]).state_dict()
    assert any(not torch.equal(first[name], last[name]) for name in first)
    assert copied.model(steps[-1]) is copied.model()
    with pytest.raises(BadInputError, match="no checkpoint at step 4711; there are"):
        copied.model(4711)


# sharing


def test_an_exported_run_comes_back_the_same_without_what_must_be_unpickled(trained: Run, tmp_path: Path) -> None:
    file = trained.export(tmp_path / "deep" / "run.zip")
    names = zipfile.ZipFile(file).namelist()
    assert not [name for name in names if name.endswith((".pt", ".log", ".lock"))]
    assert sum(name.endswith(WEIGHTS) for name in names) == 1
    other = Workspace(tmp_path / "other")
    run = other.runs.add(file)
    assert (run.id, run.status, run.state.epoch) == (trained.id, "finished", 3)
    assert run.config.data.path == ""
    assert [e.scalars for e in run.epochs()] == [e.scalars for e in trained.epochs()]
    assert (run.sample(3, seed=5).array == trained.sample(3, seed=5).array).all()
    with pytest.raises(BadInputError, match="is here already"):
        other.runs.add(file)
    with pytest.raises(BadInputError, match="nothing intact that training could go on from"):
        run.resume(epochs=9)


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_zip_cannot_write_or_point_outside_its_run(trained: Run, tmp_path: Path) -> None:
    good = _members(trained.export(tmp_path / "good.zip"))
    outside = Sampled(step=1, epoch=1, what="samples", path="../../../secret.png").model_dump_json().encode() + b"\n"
    bad = dict(good)
    bad[f"{trained.id}/events.jsonl"] += outside
    bad |= {f"{trained.id}/../../evil.txt": b"x", "/tmp/evil.png": b"x", f"{trained.id}/artefacts/../../e.png": b"x"}
    bad |= {f"{trained.id}/artefacts/not.png": b"no picture", f"{trained.id}/code.py": b"x"}
    run = Workspace(tmp_path / "lab").runs.add(_zip(tmp_path / "bad.zip", bad))
    inside = {path.name for path in run.directory.rglob("*")}
    assert not inside & {"evil.txt", "evil.png", "e.png", "not.png", "code.py"}
    assert not list(tmp_path.glob("evil*"))
    assert not Path("/tmp/evil.png").exists()
    assert all(event.path.startswith("artefacts/") for event in run.events("sampled") if isinstance(event, Sampled))
    assert run.events("sampled")


def test_hostile_zips_are_refused_and_leave_nothing(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = _members(trained.export(tmp_path / "good.zip"))
    config = json.loads(good[f"{trained.id}/config.json"])
    weights = next(name for name in good if name.endswith(WEIGHTS))
    (tmp_path / "text.zip").write_text("no zip")
    cases = {
        "cannot be read as a zip": tmp_path / "text.zip",
        "has no config.json": _zip(tmp_path / "a.zip", {"x/notes.txt": b"hello"}),
        "cannot be a folder's name": _zip(
            tmp_path / "b.zip", {**good, f"{trained.id}/config.json": json.dumps({**config, "id": "../up"}).encode()}
        ),
        "no weights that agree": _zip(tmp_path / "c.zip", {**good, weights: b"changed"}),
    }
    runs = Workspace(tmp_path / "lab").runs
    for sentence, file in cases.items():
        with pytest.raises(BadInputError, match=sentence):
            runs.add(file)
    monkeypatch.setattr(sharing, "MOST_BYTES", 1000)
    with pytest.raises(BadInputError, match="unpacks to more than"):
        runs.add(tmp_path / "good.zip")
    assert list(runs.folder.iterdir()) == []
