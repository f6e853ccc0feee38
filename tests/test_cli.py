"""The command line: documents, exit codes, one sentence for what was wrong, and nothing else on standard output."""

from __future__ import annotations

import csv
import itertools
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny import SMALL, prepared, train

from genlab.cli import app, root
from genlab.workspace import Run, Workspace

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def trained(home: Path) -> Run:
    run = prepared(Workspace(home), name="dots run")
    assert train(run) == "finished"
    return run


@pytest.fixture
def command(
    home: Path, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run one command in an empty folder; gives its JSON document, or (exit code, sentence) where that is not 0."""
    monkeypatch.setenv("GENLAB_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        code = root.run([*arguments, "--json"])
        printed = capsys.readouterr()
        if code == 0:
            return json.loads(printed.out)
        assert printed.out == ""
        assert printed.err.count("\n") == 1, f"more than one sentence: {printed.err}"
        return code, printed.err.strip()

    return run


def _size(file: str) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size


def test_models_say_all_about_themselves(command: Command) -> None:
    documents = {document["name"]: document for document in command("models")}
    assert {"vae", "gan", "gmm", "naive_bayes"} <= documents.keys()
    vae = documents["vae"]
    assert set(vae) == {"name", "title", "family", "year", "capabilities", "parameters", "presets"}
    assert {"encodes_normal", "decodes", "samples"} <= set(vae["capabilities"])
    assert vae["parameters"]["beta"] == {
        "type": "float", "default": 1.0, "minimum": 0, "maximum": 100, "choices": [],
        "description": vae["parameters"]["beta"]["description"],
    }  # fmt: skip
    assert set(vae["presets"]) == {"quick", "default", "paper"}


def test_image_sets_are_listed_and_imported(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for shade in range(5):
        Image.new("RGB", (20, 10), (shade * 40, 0, 0)).save(folder / f"{shade}.png")
    (folder / "fake.png").write_text("no picture")
    added = command("datasets", "add", str(folder), "--name", "Reds", "--size", "8x12")
    assert (added["name"], added["count"], added["shape"]) == ("reds", 5, [3, 8, 12])
    assert [(one["file"], "not an image" in one["reason"]) for one in added["refused"]] == [("fake.png", True)]
    assert command("datasets", "add", str(folder), "--name", "greys", "--grey")["shape"][0] == 1
    listed = {document["name"]: document for document in command("datasets")}
    assert {"digits-8", "digits-28", "reds", "greys", "dots"} <= listed.keys()
    assert listed["dots"]["classes"] == 2
    code, sentence = command("datasets", "add", str(tmp_path / "nothing"))
    assert code == 2
    assert "nothing" in sentence


def test_runs_are_listed_to_the_letter(command: Command, trained: Run) -> None:
    own = [document for document in command("runs") if not document["shipped"]]
    assert own[-1].items() >= {
        "run": trained.id, "name": "dots run", "model": "vae", "data": "dots", "status": "finished", "pid": None,
        "epochs": 3, "shipped": False,
    }.items()  # fmt: skip
    assert own[-1]["scalars"] == trained.epochs()[-1].scalars
    assert own[-1]["seconds"] > 0
    (named,) = command("runs", "dots run")
    assert named["run"] == trained.id


def test_pictures_are_written_as_asked(command: Command, trained: Run, tmp_path: Path) -> None:
    grid = command("sample", trained.id, "-n", "6", "--seed", "3", "-o", "grid.png")
    assert (grid["count"], grid["seed"], grid["shape"]) == (6, 3, [1, 8, 8])
    assert _size("grid.png")[0] > 8
    command("sample", trained.id, "-n", "6", "--seed", "3", "-o", "again.png")
    assert Path("grid.png").read_bytes() == Path("again.png").read_bytes()
    command("sample", trained.id, "-n", "6", "--seed", "4", "-o", "again.png")
    assert Path("grid.png").read_bytes() != Path("again.png").read_bytes()
    command("sample", trained.id, "-n", "5", "-o", "deep/all.zip")
    assert len(zipfile.ZipFile("deep/all.zip").namelist()) == 5

    Image.new("L", (30, 30), 200).save("mine.png")
    rebuilt = command("reconstruct", trained.id, "0", "mine.png", "-o", "rebuilt.png")
    assert rebuilt["count"] == 4
    assert 0 < rebuilt["mse"] < 1
    strip = command("interpolate", trained.id, "0", "5", "--steps", "7", "--kind", "lerp", "-o", "strip.png")
    assert (strip["count"], strip["kind"]) == (7, "lerp")
    command("interpolate", trained.id, "mine.png", "5", "--steps", "4", "-o", "walk.gif")
    with Image.open("walk.gif") as walk:
        assert walk.n_frames == 4
    drawn = command("triplets", trained.id, "0", "1", "2", "--draws", "2", "--positive-radius", "0.05")
    assert (drawn["count"], drawn["anchors"], drawn["settings"]["positive_radius"]) == (3 * 6, 3, 0.05)
    assert len(drawn["distances"]["code"]["negative"]) == 6
    assert Path("triplets.png").exists()


def test_points_are_written_as_table_or_chart(command: Command, trained: Run) -> None:
    laid_out = command("project", trained.id, "--split", "all", "--dimensions", "2", "-o", "points.csv")
    with Path("points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert laid_out["points"] == len(rows) == 40
    assert {"image", "x", "y", "label", "brightness"} <= rows[0].keys()
    assert {row["label"] for row in rows} == {"even", "odd"}
    command("project", trained.id, "-o", "plot.html")
    chart = Path("plot.html").read_text()
    assert "Plotly.newPlot" in chart
    assert 'src="http' not in chart


def test_metrics_say_what_they_need(command: Command, trained: Run) -> None:
    measured = command("evaluate", trained.id, "--metrics", "mse,bm", "--metrics", "psnr")
    assert list(measured) == ["mse", "bm", "psnr"]
    assert {"value", "n", "baseline", "direction"} <= measured["mse"].keys()
    assert command("evaluate", trained.id, "--metrics", "mse", "--against", "dots")["mse"]["n"] == 40
    assert measured["mse"]["range"] == [0, 1]
    Image.new("L", (8, 8), 0).save("black.png")
    report = command("bm", "black.png", "--against", "dots")
    assert {"bm", "norm", "sign", "rmse", "fraction_above_one", "baselines"} <= report.keys()
    assert report["bm"] == pytest.approx(report["baselines"]["black"])
    assert {"mean_image", "median_image", "mid_grey", "white"} <= report["baselines"].keys()


def test_the_table_of_metrics_has_ranges_named_baselines_and_warnings(
    command: Command, trained: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", trained.id, "--metrics", "mse,elbo_bits,kl"]
    assert root.run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    titles, *rows = lines[:4]
    names = titles.split()
    edges = [titles.index(name) for name in names] + [None]
    cells = ([row[left:right].strip() for left, right in itertools.pairwise(edges)] for row in rows)
    told = {row[0]: dict(zip(names, row, strict=True)) for row in cells}
    measured = command(*arguments)
    assert told["mse"]["range"] == "0 to 1"
    assert told["elbo_bits"]["range"] == "any"
    assert told["kl"]["range"] == "at least 0"
    assert told["kl"]["baseline"] == "0 ignored code"
    assert told["elbo_bits"]["baseline"] == f"{measured['elbo_bits']['baseline']:.5g} independent pixels"
    below = lines[4:]
    assert measured["mse"]["n"] < 100
    assert f"mse, elbo_bits, kl: {measured['mse']['warning']}" in below
    assert f"elbo_bits: {measured['elbo_bits']['remark']}" in below


def test_a_run_leaves_as_a_zip(command: Command, trained: Run) -> None:
    document = command("export", "dots run", "run.zip")
    assert document["bytes"] == Path("run.zip").stat().st_size > 0


def test_studies_are_listed_with_what_they_would_run(command: Command) -> None:
    listed = {study["name"]: study for study in command("study")}
    assert {"ava-learning-rates", "ladder", "vae-gan-batchnorm"} <= listed.keys()
    assert listed["vae-gan-batchnorm"]["runs"] == {"quick": 12, "full": 42}
    code, sentence = command("study", "ladders")
    assert code == 2
    assert sentence == "There is no study called 'ladders'; did you mean 'ladder'?"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["runs", "nobody"], "There is no run called 'nobody'"),
        (["train"], "MODEL is missing"),
        (["train", "vae"], "--data is missing"),
        (["train", "vea", "--data", "dots"], "did you mean 'vae'?"),
        (["train", "vae", "--data", "dots", "--epochs", "0"], "'epochs' of the training must be a whole number from 1"),
        (["train", "vae", "--data", "dots", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["train", "vae", "--data", "dots", "--set", "beta=-1"], "'beta' of vae must be a number from 0 to 100"),
        (["train", "vae", "--data", "dots", "--set", "beta"], "--set takes KEY=VALUE"),
        (["train", "vae", "--data", "dots", "--set", "betta=1"], "no parameter of vae called 'betta'; did you mean 'beta'"),
        (["train", "vae", "--data", "nowhere"], "There is no image set called 'nowhere'"),
        (["train", "vae", "--data", "./nowhere"], "nowhere does not exist"),
        (["train", "gan", "--resume", "dots run"], "dots run trains vae, not gan"),
        (["train", "--resume", "dots run"], "has spent its 3 epochs"),
        (["train", "--resume", "dots run", "--epochs", "9", "--seed", "4"], "'seed' is fixed"),
        (["pause", "dots run"], "is finished, so there is nothing to pause"),
        (["sample", "dots run", "-n", "0"], "Invalid value for '-n'"),
        (["sample", "dots run", "--label", "even"], "cannot draw images of a chosen class"),
        (["sample", "dots run", "-o", "grid.doc"], "end its name with one of"),
        (["interpolate", "dots run", "0", "99"], "has the images 0 to 39, and 99 is none"),
        (["interpolate", "dots run", "0", "gone.png"], "gone.png"),
        (["triplets", "dots run", "--positive-radius", "0.5"], "The positive must lie nearer"),
        (["project", "dots run", "-o", "points.txt"], "end its name with .csv or .html"),
        (["evaluate", "dots run", "--metrics", "fid"], "no metric called 'fid'"),
        (["evaluate", "dots run", "-k", "7"], "The metric 'identification_top7' does not apply"),
        (["bm", "gone.png", "--against", "dots"], "gone.png"),
        (["app", "--port", "0"], "Invalid value for '--port'"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_and_exit_code_2(command: Command, arguments: list[str], sentence: str) -> None:
    before = len(command("runs"))
    code, said = command(*arguments)
    assert code == 2
    assert sentence in said
    assert len(command("runs")) == before


def test_a_failed_run_is_exit_code_1_with_its_document(
    home: Path, command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("genlab.workspace.workspace.Runs.start_now", lambda self, run: train(run))
    pairs = ["--set", "learning_rate=1", "--set", "batch_size=8", "--set", "device=cpu"]
    code = root.run(["train", "vae_gan", "--data", "dots", *pairs, "--json"])
    printed = capsys.readouterr()
    assert code == 1
    assert json.loads(printed.out)["status"] == "failed"
    assert "stopped being a finite number in step" in printed.err
    assert "0.1 instead of 1" in printed.err
    assert "Traceback" not in printed.err


def test_values_are_read_by_the_type_of_their_parameter(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genlab.jobs.queue.slots", lambda: 0)
    pairs = ["hidden=32", "beta=2", "batch_norm=yes", "learning_rate=1e-4", "likelihood=gaussian"]
    chosen = [text for pair in pairs for text in ("--set", pair)]
    document = command("train", "vae", "--data", "dots", "--seed", "7", "--epochs", "4", *chosen, "--detach")
    assert document["status"] == "queued"
    config = json.loads((Path(document["directory"]) / "config.json").read_text())
    known = {"hidden": 32, "beta": 2.0, "batch_norm": True, "learning_rate": 1e-4, "likelihood": "gaussian"}
    assert config["parameters"].items() >= known.items()
    assert config["settings"].items() >= {"seed": 7, "epochs": 4}.items()
    assert command("stop", document["run"])["status"] == "finished"


def test_training_from_the_shell(home: Path, trained: Run, tmp_path: Path) -> None:
    """The whole way, with real processes: standard output holds one document and standard error the progress."""
    values = [f"--set={key}={value}" for key, value in SMALL.items()]
    line = [sys.executable, "-m", "genlab", "train", "vae", "--data", "dots", "--epochs", "3", *values, "--json"]
    environment = {**os.environ, "GENLAB_HOME": str(home)}
    done = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"run", "directory", "status", "model", "data", "epochs", "seconds", "first_scalars", "scalars"} <= set(
        document
    )
    assert (document["status"], document["epochs"], document["model"], document["data"]) == (
        "finished",
        3,
        "vae",
        "dots",
    )
    first, last = (event.scalars for event in (trained.epochs()[0], trained.epochs()[-1]))
    assert document["first_scalars"] == first, "another process gave other numbers"
    assert document["scalars"] == last
    assert "epoch 1 of 3" in done.stderr
    assert (Path(document["directory"]) / "worker.log").read_text() == ""


def test_help_and_version_are_instant_and_import_nothing_heavy() -> None:
    code = "import sys; from genlab.cli import root; root.run(['--help']); root.run(['--version']); root.run(['train', '--help']); print(*sys.modules)"  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took = time.perf_counter() - began
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"torch", "numpy", "streamlit", "sklearn", "PIL", "plotly"}
    assert "genlab 0" in done.stdout
    assert took < 5, "even on a busy machine"


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in root.COMMANDS:
        assert root.run([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert "--json" in text
        assert len(text.splitlines()) > 4


def test_the_app_refuses_a_port_that_is_taken_and_serves_from_its_own_folder(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, sentence = command("app", "--port", str(port))
        assert code == 2
        assert f"Port {port} cannot be used" in sentence
    asked: list[Any] = []
    monkeypatch.setattr(app, "serve", lambda *given: asked.append((Path.cwd(), *given)))
    monkeypatch.setenv("GENLAB_HOME", "mine")
    document = command("app", "--port", str(port), "--no-browser")
    assert document["url"] == f"http://127.0.0.1:{port}"
    ((folder, *given),) = asked
    assert given == [port, True]
    assert (folder / "app.py").exists()
    assert os.environ["GENLAB_HOME"] == str(tmp_path / "mine")


def test_the_server_gets_what_keeps_it_thrifty_unless_its_owner_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    started: list[Any] = []
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(os, "execve", lambda program, words, environment: started.append((words, environment)))
    app.serve(8765, no_browser=True)
    ((words, environment),) = started
    assert words[1:5] == ["-m", "streamlit", "run", "app.py"]
    assert "--server.port=8765" in words
    assert environment["OPENBLAS_THREAD_TIMEOUT"] == "4"
    assert environment["MALLOC_ARENA_MAX"] == "7"
