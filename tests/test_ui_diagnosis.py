"""What the Runs page says of a run that went wrong, and the button that tries the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from streamlit.testing.v1 import AppTest
from visiting import fine, visit

import genlab
from genlab.core.events import Diagnosed
from genlab.runs.events import EventLog
from genlab.ui.run_diagnosis import in_words, possible

DEAD = {"revival": 0.0, "codes": 64, "halvings": 2, "width": 4, "blocks": 0, "hidden": 8, "depth": 1, "batch_size": 8}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> genlab.Run:
    """A finished run whose codebook died, in the laboratory that pages see; what is started there stays queued."""
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path))
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)
    run = tiny.prepared(genlab.Workspace(tmp_path), "vq_vae", epochs=4, **DEAD)
    assert tiny.train(run) == "finished"
    return run


def box(app: AppTest) -> list[str]:
    return [warning.value for warning in app.warning]


def test_a_disease_has_a_box_with_what_to_try_and_a_button_that_tries_it(run: genlab.Run) -> None:
    (found,) = [event for event in run.events() if isinstance(event, Diagnosed)]
    app = visit("runs", run=run.id)
    (said,) = box(app)
    assert said.startswith(f"**Dead codes** since epoch {found.epoch}. Most of the codebook is dead")
    assert said.endswith(f"**What to try:** {found.remedy}")
    button = app.button(key=f"again-{run.id}-dead codes")
    assert button.label == "Train again with revival 0.05"
    fine(button.click().run())
    (other,) = [each for each in genlab.Workspace().runs if not each.shipped and each.id != run.id]
    assert (other.status, other.config.data, other.config.settings) == ("queued", run.config.data, run.config.settings)
    assert other.config.parameters == {**run.config.parameters, "revival": 0.05}
    assert app.query_params["run"] == other.id
    assert box(app) == []  # the new one has not begun


def test_what_is_over_is_one_line_without_a_button(run: genlab.Run) -> None:
    log = EventLog(run.directory / "events.jsonl")
    log.append(Diagnosed(step=30, epoch=5, disease="dead codes", message="No sign of dead codes any more.", cured=True))
    log.close()
    app = visit("runs", run=run.id)
    assert box(app) == []
    assert not [button for button in app.button if button.key and button.key.startswith("again-")]
    (line,) = [caption.value for caption in app.caption if "is over since" in caption.value]
    assert "**Dead codes** was seen from epoch 3 and is over since epoch 5." in line


def test_what_a_model_does_not_leave_to_choose_is_not_offered(run: genlab.Run) -> None:
    assert possible(run, {"beta": 1.0, "loss": "wasserstein", "early_stopping": 5}) == {
        "beta": 1.0,
        "early_stopping": 5,
    }
    assert in_words({"learning_rate": 2e-4, "augmentation": "shift"}) == "learning rate 0.0002 and augmentation shift"
