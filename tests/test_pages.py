"""Home, Data, Train, Runs and Models on a laboratory with one small trained run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from visiting import fine

import genlab
from genlab.jobs.worker import Worker

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory whose one run was trained in this very process."""
    root = tmp_path_factory.mktemp("lab")
    lab = genlab.Workspace(root)
    run = lab.prepare("vae", "digits-8", preset="quick", name="Small", epochs=2, hidden=16, latent_dim=2)
    assert Worker(run._files).train() == "finished"
    return root


@pytest.fixture
def home(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that laboratory for one test."""
    shutil.copytree(trained, tmp_path / "lab")
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path / "lab"))
    return tmp_path / "lab"


def opened(page: str = "home") -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page(f"pages/{page}.py").run()
    return fine(app)


def said(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.info, *app.success, *app.warning, *app.title, *app.subheader]
    return "\n".join(element.value for element in elements)


@pytest.mark.parametrize("page", ["home", "data", "train", "runs", "models"])
def test_each_page_opens_in_an_empty_laboratory(page: str) -> None:
    assert opened(page).title


def test_a_newcomer_begins_with_the_vae_and_others_with_their_newest_run(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own,) = [run.id for run in genlab.Workspace().runs if not run.shipped]
    assert opened("sample").selectbox(key="choose-run").value == own
    assert opened("compare").multiselect(key="compared").value == [own, "digits-vae", "digits-vae-gan"]
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path / "empty"))
    assert opened("sample").selectbox(key="choose-run").value == "digits-vae"
    assert opened("compare").multiselect(key="compared").value == ["digits-vae", "digits-vae-gan", "digits-dcgan"]
    assert opened("recognise").selectbox(key="choose-run").value == "log-ends-recognition"  # the VAE does not do this


def test_the_first_page_needs_nothing_heavy(home: Path) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest; "
        f"app = AppTest.from_file({str(ROOT / 'app.py')!r}, default_timeout=60).run(); "
        "assert not app.exception and not app.error and app.title[0].value == 'genlab'; "
        "print(sorted({'torch', 'torchvision', 'sklearn', 'umap', 'skimage'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "[]"


def test_the_first_page_shows_what_a_run_stored_and_draws_anew_when_asked(home: Path) -> None:
    app = opened()
    (own,) = [run.id for run in genlab.Workspace().runs if not run.shipped]
    app.selectbox(key="showcase").select(own).run()
    assert "**Small** learned from 1,797 images" in said(app)
    before = app.get("image")[0].proto.SerializeToString()
    app.button(key="showcase-draw").click().run()
    assert app.get("image")[0].proto.SerializeToString() != before


def test_the_sidebar_says_that_everything_stays_here() -> None:
    app = opened()
    texts = [element.value for element in [*app.sidebar.markdown, *app.sidebar.caption]]
    assert any("this machine only" in text for text in texts)
    assert any("Nothing is training" in text for text in texts)


def test_a_path_is_imported_looked_at_deleted_and_brought_back(tmp_path: Path) -> None:
    for name, shade in {"cats/a": 10, "cats/b": 200, "dogs/c": 90}.items():
        path = tmp_path / "pets" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 20), shade, np.uint8)).save(path)
    (tmp_path / "pets" / "notes.png").write_text("not a picture")
    app = opened("data")
    app.segmented_control(key="import-way").set_value("path").run()
    app.text_input(key="import-path").set_value(str(tmp_path / "pets")).run()
    fine(app.button(key="import-go").click().run())
    assert "3 images of 20x20 grey" in said(app)
    assert "1 file was left out" in said(app)
    assert app.selectbox(key="choose-data").value == "pets"
    assert app.query_params["data"] == "pets"
    refused = app.dataframe[0].value
    assert list(refused["file"]) == ["notes.png"]
    assert app.selectbox(key="class-pets").options == ["every class", "cats", "dogs"]
    fine(app.button(key="delete-pets").click().run())
    assert "pets" not in genlab.Workspace().datasets
    fine(app.button(key="deleted-set-undo").click().run())
    assert "pets" in genlab.Workspace().datasets


def test_a_wrong_path_is_answered_with_one_sentence(tmp_path: Path) -> None:
    app = opened("data")
    app.segmented_control(key="import-way").set_value("path").run()
    app.text_input(key="import-path").set_value(str(tmp_path / "nowhere")).run()
    app.button(key="import-go").click().run()
    assert not app.exception
    assert [error.value for error in app.error] == [
        f"{tmp_path / 'nowhere'} does not exist; give an image, a folder or a zip."
    ]


def test_the_train_page_starts_the_model_with_what_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)  # queued, never started
    app = opened("train")
    app.selectbox(key="choose-data").select("digits-8").run()
    assert app.selectbox(key="choose-model").value == "vae"
    app.segmented_control(key="preset-vae").set_value("quick").run()
    app.number_input(key="form-vae-quick-own-latent_dim").set_value(3).run()
    app.text_input(key="run-name").set_value("From the page").run()
    fine(app.button(key="start").click().run())
    (run,) = [run for run in genlab.Workspace().runs if not run.shipped]
    assert (run.name, run.status, run.config.preset, run.config.data.name) == (
        "From the page",
        "queued",
        "quick",
        "digits-8",
    )
    assert run.config.parameters["latent_dim"] == 3
    assert "From the page" in said(app)


def test_models_that_are_fitted_are_not_asked_for_batches() -> None:
    app = opened("train")
    app.selectbox(key="choose-model").select("naive_bayes").run()
    keys = [widget.key for widget in [*fine(app).number_input, *app.select_slider]]
    assert "form-naive_bayes-default-settings-epochs" in keys
    assert not [key for key in keys if key and key.endswith("batch_size")]


def test_an_impossible_parameter_is_explained_and_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from genlab.core.errors import BadInputError

    def refuse(self: object, values: object) -> None:
        raise BadInputError("Too narrow.")

    app = opened("train")
    monkeypatch.setattr("genlab.core.registry.Entry.validate", refuse)
    app.run()
    assert [warning.value for warning in app.warning] == ["Too narrow."]
    assert "start" not in [button.key for button in app.button]


def test_a_run_is_watched_recorded_renamed_deleted_and_brought_back(home: Path) -> None:
    app = opened("runs")
    (run,) = [run for run in genlab.Workspace().runs if not run.shipped]
    assert {metric.label: metric.value for metric in app.metric}["Epoch"] == "2 of 2"
    assert app.select_slider(key=f"scrub-{run.id}").options == ["26", "52"]
    assert "genlab train vae --data digits-8 --epochs 2" in app.code[0].value
    app.text_input(key=f"name-{run.id}").set_value("Renamed").run()
    assert genlab.Workspace().runs[run.id].name == "Renamed"
    app.text_area(key=f"note-{run.id}").set_value("A first try.").run()
    for way, name, note in (
        ("undo", "Renamed", ""),
        ("undo", "Small", ""),
        ("redo", "Renamed", ""),
        ("redo", "Renamed", "A first try."),
    ):
        fine(app.button(key=f"history-words-{run.id}-{way}").click().run())
        found = genlab.Workspace().runs[run.id]
        assert (found.name, found.notes) == (name, note)
        assert app.text_input(key=f"name-{run.id}").value == name
        assert not app.warning
    fine(app.button(key=f"delete-{run.id}").click().run())
    assert run.id not in genlab.Workspace().runs
    fine(app.button(key="deleted-run-undo").click().run())
    assert run.id in genlab.Workspace().runs


def _state(home: Path, **changes: object) -> str:
    (path,) = home.glob("runs/*/state.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path.parent.name


def test_a_failed_run_says_why_and_goes_on_at_a_lower_rate(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)
    id = _state(home, status="failed", message="The term 'kl' stopped.", remedy="Lower the rate.")
    app = opened_with_error("runs")
    assert [error.value for error in app.error] == ["The term 'kl' stopped. Lower the rate."]
    app.button(key=f"lower-{id}").click().run()
    run = genlab.Workspace().runs[id]
    assert run.status == "queued"
    assert json.loads(run.record())["parameters"]["learning_rate"] == pytest.approx(1e-4)


def opened_with_error(page: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    return app


@pytest.mark.parametrize(
    ("status", "offered"),
    [("paused", {"Resume", "Stop"}), ("interrupted", {"Resume", "Stop"}), ("queued", {"Stop"}), ("finished", set())],
)
def test_only_steps_that_make_sense_are_offered(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: str, offered: set[str]
) -> None:
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)
    _state(home, status=status)
    labels = {button.label for button in opened("runs").button}
    assert labels & {"Pause", "Resume", "Stop"} == offered


def test_every_model_has_its_card_and_its_row() -> None:
    app = opened("models")
    from genlab.core.registry import models

    text = said(app)
    (matrix,) = [frame.value for frame in app.dataframe if "model" in frame.value]
    for name, entry in models().items():
        assert entry.card.title in text
        row = matrix[matrix["model"] == entry.card.title].iloc[0]
        assert [column for column in row.index if row[column] == "✓"] == list(entry.capabilities), name


@pytest.mark.parametrize(
    ("find", "families", "names"),
    [
        ("wasserstein gulrajani", [], {"wgan_gp"}),
        ("", ["flow"], {"nice", "realnvp", "glow"}),
        ("IMPUTES mixture", ["density", "flow"], {"gmm"}),
        ("vq_vae", [], {"vq_vae"}),
        ("vq_vae", ["flow"], set()),
    ],
)
def test_cards_are_found_by_what_they_say(find: str, families: list[str], names: set[str]) -> None:
    app = opened("models")
    app.text_input(key="find").set_value(find)
    app.button_group(key="families").set_value(families)
    app.run()
    assert {button.key.removeprefix("train-") for button in app.button if button.label == "Train it"} == names
    assert any("No such model" in text for text in said(app).splitlines()) == (not names)


def test_an_unexpected_error_is_one_sentence_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("genlab.ui.zoo.gallery", broken)
    app = opened_with_error("models")
    (error,) = app.error
    assert "RuntimeError" in error.value
    assert "secret detail" not in error.value
