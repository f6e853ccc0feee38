"""A second, unpaired image set, from the batches through training, resuming and sharing to the pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from tiny import images as dots
from tiny import train

import genlab
from genlab.cli import root
from genlab.core.errors import BadInputError
from genlab.core.events import EpochFinished, Progressed, Sampled
from genlab.core.seeding import seed_everything
from genlab.core.settings import TrainingSettings
from genlab.data import Content, ImageSet, write_set
from genlab.data.loader import ArrayBatches, PairedBatches
from genlab.runs.config import read_config
from genlab.training.loop import Training
from genlab.workspace import Run, Workspace

CPU = torch.device("cpu")
APP = Path(__file__).resolve().parent.parent / "app.py"
TINY: dict[str, Any] = {"width": 4, "blocks": 1, "critic_width": 4, "buffer": 6, "batch_size": 8, "device": "cpu"}


def numbered(count: int, held_out: int = 0, start: int = 0) -> ArrayBatches:
    """Images that carry their own number as a grey level."""
    pixels = np.broadcast_to(np.arange(start, start + count, dtype=np.uint8)[:, None, None, None], (count, 1, 8, 8))
    splits = {"train": np.arange(held_out, count), "validation": np.arange(held_out)}
    return ArrayBatches(np.ascontiguousarray(pixels), None, splits)


def numbers(images: torch.Tensor | None) -> list[int]:
    assert images is not None
    return [round(value * 255) for value in images.mean((1, 2, 3)).tolist()]


def dealt(data: PairedBatches, seed: int, epoch: int, skip: int = 0) -> list[tuple[list[int], list[int]]]:
    return [(numbers(batch.images), numbers(batch.second)) for batch in data.epoch(seed, epoch, 4, CPU, skip)]


# batches


def test_an_epoch_goes_once_through_the_larger_set_and_again_and_again_through_the_smaller() -> None:
    for sizes in ((11, 4), (4, 11)):
        data = PairedBatches(numbered(sizes[0]), numbered(sizes[1], start=100))
        batches = dealt(data, 0, 0)
        assert len(batches) == data.steps(4) == 3
        firsts, seconds = ([number for batch in side for number in batch] for side in zip(*batches, strict=True))
        larger, smaller = (firsts, seconds) if sizes[0] > sizes[1] else (seconds, firsts)
        assert sorted(np.array(larger) % 100) == list(range(11))
        assert [sorted(np.array(smaller[at : at + 4]) % 100) for at in (0, 4)] == [[0, 1, 2, 3]] * 2
        assert len(set(smaller[8:])) == 3


def test_the_order_of_both_sets_follows_from_seed_and_epoch_alone() -> None:
    data = PairedBatches(numbered(12), numbered(12))
    assert dealt(data, 3, 1) == dealt(data, 3, 1)
    assert dealt(data, 3, 1) != dealt(data, 3, 2)
    assert dealt(data, 3, 1) != dealt(data, 4, 1)
    assert dealt(data, 3, 1, skip=2) == dealt(data, 3, 1)[2:]
    assert all(first != second for first, second in dealt(data, 3, 1))
    alone = [numbers(batch.images) for batch in numbered(12).epoch(3, 1, 4, CPU)]
    assert [first for first, _ in dealt(data, 3, 1)] == alone


def test_held_out_images_come_as_far_as_both_sets_reach() -> None:
    data = PairedBatches(numbered(20, held_out=7), numbered(20, held_out=3, start=100))
    batches = list(data.in_order("validation", 2, CPU))
    assert [(numbers(batch.images), numbers(batch.second)) for batch in batches] == [([0, 1], [100, 101]), ([2], [102])]
    assert (data.count("validation"), data.count("train")) == (3, 13)
    whole = data.all("validation", CPU)
    assert whole.second is not None
    assert (len(whole.images), len(whole.second)) == (7, 3)
    assert not list(PairedBatches(numbered(5), numbered(20, held_out=3)).in_order("validation", 2, CPU))


def test_images_to_look_at_are_spread_over_each_set() -> None:
    data = PairedBatches(numbered(20, held_out=10), numbered(40, held_out=2, start=100))
    batch = data.spread("validation", 4, CPU)
    assert (numbers(batch.images), numbers(batch.second)) == ([0, 2, 5, 7], [100, 101])


def test_batches_of_unlike_shapes_are_refused() -> None:
    wide = ArrayBatches(np.zeros((4, 1, 8, 9), np.uint8), None, {"train": np.arange(4)})
    with pytest.raises(BadInputError, match=r"8x8 grey.*8x9 grey"):
        PairedBatches(numbered(4), wide)


# training


def training(epochs: int = 3) -> Training:
    seed_everything(0)
    model = genlab.create(
        "cyclegan", (1, 8, 8), **{key: TINY[key] for key in ("width", "blocks", "critic_width", "buffer")}
    )
    data = PairedBatches(numbered(22, held_out=2), numbered(13, held_out=3, start=100))
    return Training(model, data, TrainingSettings(epochs=epochs, batch_size=8))


def finished(work: Training) -> list[EpochFinished]:
    return [event for event in work.events() if isinstance(event, EpochFinished)]


def test_a_run_that_was_stopped_anywhere_goes_on_to_the_bit() -> None:
    whole = training()
    told = finished(whole)
    for stop in (2, 5):  # in the first epoch, while past images are collected, and in the second
        first = training()
        before = []
        for event in first.events():
            before += [event] if isinstance(event, EpochFinished) else []
            if first.step == stop and not isinstance(event, Progressed):
                break
        weights = {name: value.clone() for name, value in first.model.state_dict().items()}
        state = first.state()
        second = training()
        torch.manual_seed(1234)
        second.model.load_state_dict(weights)
        second.load_state(state)
        after = finished(second)
        assert [event.scalars for event in [*before, *after]] == [event.scalars for event in told]
        assert [event.validation for event in [*before, *after]] == [event.validation for event in told]
        expected = whole.model.state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in second.model.state_dict().items())


# the laboratory


def photographs(lab: Workspace, name: str, count: int, shape: tuple[int, int, int] = (1, 8, 8)) -> ImageSet:
    draw = np.random.default_rng(count)
    return write_set(lab.datasets.folder / name, Content(draw.integers(0, 256, (count, *shape), dtype=np.uint8)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory with a run that translates between two sets of different sizes, and one that does not."""
    folder = tmp_path_factory.mktemp("home")
    lab = Workspace(folder)
    first, second = dots(lab), photographs(lab, "noise", 30)
    run = lab.prepare("cyclegan", first, second=second, name="two kinds", epochs=2, **TINY)
    assert train(run) == "finished"
    plain = lab.prepare("vae", first, name="one kind", epochs=1, hidden=8, latent_dim=2, device="cpu")
    assert train(plain) == "finished"
    return folder


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("GENLAB_HOME", str(home))
    return Workspace(home)


@pytest.fixture
def run(lab: Workspace) -> Run:
    return lab.runs["two kinds"]


def test_a_run_records_both_sets_and_older_runs_without_one_are_read(run: Run, lab: Workspace, tmp_path: Path) -> None:
    assert run.second is not None
    assert (run.images.name, run.second.name, run.config.data_title) == ("dots", "noise", "dots ⇄ noise")
    assert json.loads(run.record())["second"]["hash"] == run.second.hash
    document = json.loads((run.directory / "config.json").read_text())
    del document["second"]
    (tmp_path / "config.json").write_text(json.dumps(document))
    older = read_config(tmp_path)
    assert (older.second, older.data_title) == (None, "dots")
    assert lab.runs["one kind"].second is None
    named = lab.prepare("cyclegan", "dots", second="noise", **TINY)
    assert named.name == "cyclegan on dots and noise"
    named.delete()


def test_previews_show_fixed_images_there_and_back(run: Run) -> None:
    from PIL import Image

    drawn = [event for event in run.events("sampled") if isinstance(event, Sampled)]
    assert {event.what for event in drawn} == {"translations", "translations_back"}
    assert sorted({event.epoch for event in drawn}) == [1, 2]
    last = next(event for event in reversed(drawn) if event.what == "translations")
    with Image.open(run.directory / last.path) as opened:
        picture = np.asarray(opened).astype(float) / 255
    trained_on = run.images.tensor(run.images.splits["train"]).numpy()  # too few are held out
    assert len(trained_on) == 36
    given = trained_on[::3]
    there = run.translate(given)
    rows = np.concatenate([given, there.array, run.translate(there, back=True).array])
    expected = np.asarray(genlab.figures.Images(rows).grid(12)).astype(float) / 255
    np.testing.assert_allclose(picture, expected, atol=1.5 / 255)


def test_translating_is_the_models_own_and_takes_images_of_its_shape(run: Run, lab: Workspace) -> None:
    model: Any = run.model()
    images = run.images.tensor([0, 1, 2])
    for back in (False, True):
        translated = run.translate(images, back=back)
        torch.testing.assert_close(torch.from_numpy(translated.array), model.translate(images, back=back))
    assert run.translate(images, back=True).caption == "3 images of “noise” as “dots”, by two kinds"
    with pytest.raises(BadInputError, match="trained on images of 8x8 grey"):
        run.translate(np.zeros((1, 1, 9, 9)))
    with pytest.raises(BadInputError, match="one kind cannot translate images; pick"):
        lab.runs["one kind"].translate(images)


def test_what_a_run_can_do_may_be_asked_of_several_abilities_at_once(run: Run, lab: Workspace) -> None:
    either = ("samples", "translates")
    assert run.can(either)
    assert lab.runs["one kind"].can(either, "encodes")
    assert not run.can(either, "encodes")
    assert not run.can("samples")


def test_one_set_too_few_or_too_many_or_of_another_shape_is_one_sentence(lab: Workspace) -> None:
    with pytest.raises(BadInputError, match="CycleGAN learns from two image sets; choose a second one"):
        lab.prepare("cyclegan", "dots")
    with pytest.raises(BadInputError, match="learns from two image sets"):
        lab.estimate("cyclegan", "dots")
    with pytest.raises(BadInputError, match="learns from one image set; leave the second one out"):
        lab.prepare("vae", "dots", second="noise")
    with pytest.raises(
        BadInputError, match=r"'dots' has 8x8 grey while 'sprites' has 32x32 grey; import .* at 8x8 in grey"
    ):
        lab.prepare("cyclegan", "dots", second="sprites")


def test_the_estimate_tries_steps_on_both_sets(lab: Workspace) -> None:
    found = lab.estimate("cyclegan", "dots", second="noise", epochs=5, **{**TINY, "batch_size": 9})
    larger = max(len(lab.datasets[name].splits["train"]) for name in ("dots", "noise"))
    assert found.steps == 5 * -(-larger // 9)
    assert found.seconds > 0
    assert found.parameters == sum(p.numel() for p in lab.runs["two kinds"].model().parameters())


def test_a_shared_run_forgets_both_paths_and_finds_both_sets_again(run: Run, lab: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "elsewhere")
    dots(other)
    taken = other.runs.add(run.export(tmp_path / "run.zip"))
    assert taken.config.second is not None
    assert (taken.config.data.path, taken.config.second.path) == ("", "")
    with pytest.raises(BadInputError, match="'noise' of this run is not in the laboratory"):
        taken.second  # noqa: B018
    photographs(other, "rauschen", 30)
    assert taken.second is not None
    assert taken.second.name == "rauschen"
    given = taken.second.tensor([3])
    np.testing.assert_array_equal(taken.translate(given, back=True).array, run.translate(given, back=True).array)


def test_a_worker_that_misses_the_second_set_says_so(tmp_path: Path) -> None:
    lab = Workspace(tmp_path / "lab")
    dots(lab)
    photographs(lab, "noise", 30)
    lost = lab.prepare("cyclegan", "dots", second="noise", epochs=1, **TINY)
    lab.datasets.remove("noise")
    assert train(lost) == "failed"
    assert "The image set 'noise' of this run is not in the laboratory" in lost.state.message


# the command line


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    code = root.run([*arguments, "--json"])
    printed = capsys.readouterr()
    return json.loads(printed.out) if code == 0 else (code, printed.err.strip())


def test_the_command_line_trains_lists_and_refuses(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)  # queued, never started
    chosen = ["--epochs", "1", "--set", "width=4", "--detach", "--name", "queued"]
    document = told(capsys, "train", "cyclegan", "--data", "dots", "--second", "noise", *chosen)
    assert (document["status"], document["data"], document["second"]) == ("queued", "dots", "noise")
    listed = {one["name"]: one for one in told(capsys, "runs") if not one["shipped"]}
    assert (listed["queued"]["second"], listed["one kind"]["second"]) == ("noise", None)
    lab.runs["queued"].delete()
    missing = told(capsys, "train", "cyclegan", "--data", "dots")
    assert missing == (2, missing[1])
    assert "--second" in missing[1]
    code, sentence = told(capsys, "train", "vae", "--data", "dots", "--second", "noise")
    assert (code, "leave the second one out" in sentence) == (2, True)
    code, sentence = told(capsys, "train", "--resume", "two kinds", "--second", "dots", "--epochs", "9")
    assert (code, sentence) == (2, "two kinds was trained on 'noise'; leave --second out to resume it.")


def test_the_command_line_translates_numbers_and_files(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    genlab.figures.Images(run.images.tensor([5])).picture().save("five.png")
    document = told(capsys, "translate", "two kinds", "5", "five.png", "-o", "out.npy")
    both = np.load("out.npy")
    assert (document["count"], document["back"]) == (4, False)
    np.testing.assert_array_equal(both[0], both[1])
    there = run.translate(run.images.tensor([5]))
    np.testing.assert_allclose(both[2], there.array[0], atol=1e-6)
    again = run.translate(there, back=True).array[0]
    assert document["error_there_and_back"] == pytest.approx(np.abs(again - both[0]).mean(), rel=1e-4)
    document = told(capsys, "translate", "two kinds", "3", "--back", "-o", "back.png")
    assert "“noise” as “dots”" in document["caption"]
    with Image.open("back.png") as picture:
        assert picture.height > picture.width
    code, sentence = told(capsys, "translate", "two kinds", "--back", "30")
    assert (code, sentence) == (2, "noise has the images 0 to 29, and 30 is none of them.")
    code, sentence = told(capsys, "translate", "one kind", "0")
    assert (code, "cannot translate" in sentence) == (2, True)


# the pages


def opened(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=90).run()
    for name, value in query.items():
        app.query_params[name] = value
    return sound(app.switch_page(f"pages/{page}.py").run())


def sound(app: AppTest) -> AppTest:
    assert not app.exception
    assert not [error.value for error in app.error]
    return app


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.warning, *app.info])


def test_the_train_page_asks_for_a_second_set_where_the_model_takes_one(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)
    app = opened("train", data="dots")
    assert "choose-second" not in [box.key for box in app.selectbox]
    sound(app.selectbox(key="choose-model").select("cyclegan").run())
    box = app.selectbox(key="choose-second")
    assert "dots" not in " ".join(box.options)
    assert box.value in {info.name for info in lab.datasets.infos() if info.shape == (1, 8, 8)}
    box.select("sprites").run()
    assert "import the images of 'sprites' again at 8x8 in grey" in said(app)
    assert "start" not in [button.key for button in app.button]
    app.selectbox(key="choose-second").select("noise").run()
    app.text_input(key="run-name").set_value("From the page").run()
    sound(app.button(key="start").click().run())
    begun = lab.runs["From the page"]
    assert begun.config.second is not None
    assert (begun.status, begun.config.data.name, begun.config.second.name) == ("queued", "dots", "noise")
    begun.delete()


def test_the_sample_page_translates_both_ways(run: Run) -> None:
    app = opened("sample", run=run.id)
    assert "images of dots, what “two kinds” makes of them as noise" in said(app)
    ways = app.radio(key="direction")
    assert ways.options == ["dots → noise", "noise → dots"]
    sound(ways.set_value("noise → dots").run())
    assert "images of noise, what “two kinds” makes of them as dots" in said(app)


def test_the_runs_page_names_both_sets_and_the_command_that_repeats_the_run(run: Run) -> None:
    app = opened("runs", run=run.id)
    assert "learning from *dots* (40 images of 8x8 grey) and *noise* (30 images of 8x8 grey)" in said(app)
    assert any("--data dots --second noise" in block.value for block in app.code)
    assert "Fixed images, translated, and back again" in str(
        [element.proto for element in app.get("imgs") or app.get("image")]
    )


# what comes with genlab


def test_the_shipped_run_finds_the_true_counterparts_that_it_never_saw_paired(tmp_path: Path) -> None:
    lab = Workspace(tmp_path / "lab")
    shipped = next((run for run in lab.runs.shipped() if run.can("translates")), None)
    if shipped is None:
        pytest.skip("no run that translates comes with this checkout")
    assert shipped.second is not None
    held_out = shipped.images.splits["validation"][:100]
    flat, relief = (data.tensor(held_out).numpy() for data in (shipped.images, shipped.second))
    for given, truth, back in ((flat, relief, False), (relief, flat, True)):
        assert np.abs(given - truth).mean() > 0.4
        assert np.abs(shipped.translate(given, back=back).array - truth).mean() < 0.13


def test_digits_in_relief_are_slopes_of_the_digits(lab: Workspace) -> None:
    flat, relief = (lab.datasets[name].images[:40, 0].astype(int) for name in ("digits-28", "digits-relief"))
    expected = np.full_like(flat, 128)
    for row in range(1, 27):
        for column in range(1, 27):
            slope = flat[:, row + 1, column + 1] - flat[:, row - 1, column - 1]
            expected[:, row, column] = np.clip(128 + slope // 2, 0, 255)
    np.testing.assert_array_equal(relief[:, 1:27, 1:27], expected[:, 1:27, 1:27])
    np.testing.assert_array_equal(lab.datasets["digits-28"].labels, lab.datasets["digits-relief"].labels)
