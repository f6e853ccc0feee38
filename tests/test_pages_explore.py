"""The exploring pages, driven without a browser on small runs that were really trained."""

from __future__ import annotations

import gc
import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from visiting import fine, visit

import genlab
from genlab.core.errors import BadInputError
from genlab.figures.images import Images
from genlab.jobs.worker import Worker
from genlab.latent import TRIPLET_PRESETS
from genlab.runs.directory import RunDirectory
from genlab.ui import memory
from genlab.ui.explore_compare import differences, short_names
from genlab.ui.explore_gallery import _strip as strip
from genlab.ui.explore_latent import _selected as selected
from genlab.ui.explore_metrics import side_by_side, table
from genlab.ui.explore_newcomer import FIT, SWAPPED
from genlab.ui.explore_pick import parse_numbers
from genlab.ui.explore_styles import mixing_table
from genlab.ui.explore_triplets import distance_rows, triplet_npz, triplet_zip
from genlab.ui.theatre_links import strokes_of, strokes_text
from genlab.ui.undo import STEPS, History

PAGES = ("sample", "latent", "interpolate", "triplets", "compare")
TRAINED = {
    "codes": ("vae", {"latent_dim": 4, "hidden": 32, "epochs": 2}),
    "plane": ("vae", {"latent_dim": 2, "hidden": 32, "epochs": 1}),
    "game": ("gan", {"epochs": 1}),
    "bayes": ("naive_bayes", {}),
    "styles": ("stylegan", {"width": 4, "latent_dim": 6, "epochs": 1}),
    "labels": ("cdcgan", {"width": 4, "latent_dim": 6, "epochs": 1}),
    "eyes": ("recognition", {"width": 4, "embedding_dim": 4, "batch_size": 240, "epochs": 1}),
}


CONTROLS = {
    "sample": ("bayes", {}),
    "latent": ("plane", {"limit": 500}),
    "interpolate": ("codes", {"ends": "3, 5, 8"}),
    "interpolate Prior": ("game", {"way": "Plane"}),
    "interpolate Traverse": ("codes", {"way": "Traverse"}),
    "interpolate Attributes": ("codes", {"way": "Attributes"}),
    "interpolate Selections": ("unlabelled", {"way": "Attributes", "these": "3", "those": "4"}),
    "interpolate Mixing": ("styles", {"way": "Style mixing"}),
    "triplets": ("codes", {"stochastic_radius": "per draw"}),
    "likelihood": ("bayes", {}),
    "likelihood Fill": ("bayes", {"ask": "Fill in", "part": "random"}),
    "likelihood Class": ("bayes", {"ask": "Which class"}),
    "recognise": ("eyes", {}),
    "recognise Map": ("eyes", {"way": "Map"}),
    "recognise How sure": ("eyes", {"way": "How sure"}),
    "compare": ("codes", {}),
    "theatre": ("codes", {"model": "gan", "loss": "minimax"}),
    "runs": ("codes", {}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory with four trained runs on the bundled digits and one on images without classes."""
    folder = tmp_path_factory.mktemp("home")
    lab = genlab.Workspace(folder)
    digits = lab.datasets["digits-8"]
    files = [(f"{i}.png", _png(digits.images[i])) for i in range(40)]
    plain = lab.datasets.add(files, name="plain")
    for name, (model, values) in TRAINED.items():
        _train(lab, model, digits, name, **values)
    _train(lab, "vae", plain, "unlabelled", latent_dim=3, hidden=16, epochs=1)
    return folder


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Images(pixels).picture().save(file, "PNG")
    return file.getvalue()


def _train(lab: genlab.Workspace, model: str, images: object, name: str, **values: object) -> None:
    run = lab.prepare(model, images, name=name, device="cpu", **values)
    assert Worker(RunDirectory(run.directory)).train() == "finished"


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> genlab.Workspace:
    monkeypatch.setenv("GENLAB_HOME", str(home))
    return genlab.Workspace(home)


def captions(app: AppTest) -> str:
    below = [image.caption for shown in app.get("image") for image in shown.proto.imgs]
    return " ".join([caption.value for caption in app.caption] + below)


def pictures(app: AppTest) -> list[str]:
    """What the page shows as pictures: markup with pictures inside, and addresses by content."""
    images = [image.url for shown in app.get("image") for image in shown.proto.imgs]
    return [markup.proto.body for markup in app.get("html") if "<img" in markup.proto.body] + images


@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_on_a_run_and_names_it(lab: genlab.Workspace, page: str) -> None:
    app = visit(page, run=lab.runs["codes"].id, runs=lab.runs["codes"].id)
    assert app.title[0].value
    assert "“codes”" in captions(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_any_run_says_what_to_do(tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genlab.workspace.Runs, "shipped", lambda self: [])
    app = visit(page)
    assert any(text.value.startswith("###") and "No run" in text.value for text in app.markdown)
    assert app.get("page_link")[0].proto.page == "train"


def test_a_run_that_cannot_is_explained_and_another_shown(lab: genlab.Workspace) -> None:
    app = visit("triplets", run=lab.runs["game"].id)
    assert "“game” cannot sample triplets" in app.info[0].value
    assert "encodes normal" in app.info[0].value
    assert app.selectbox[0].value != lab.runs["game"].id
    assert "no run" in visit("sample", run="gone").info[0].value


def test_samples_depend_on_the_seed_alone(lab: genlab.Workspace) -> None:
    app = visit("sample", run=lab.runs["codes"].id)
    first = pictures(app)
    fine(app.button(key="seed-next").click().run())
    assert app.number_input(key="seed").value == 1
    assert pictures(app) != first
    fine(app.number_input(key="seed").set_value(0).run())
    assert pictures(app) == first


def test_samples_come_by_class_in_rows(lab: genlab.Workspace) -> None:
    app = visit("sample", run=lab.runs["bayes"].id, classes=["3", "7"], count=5)
    (image,) = app.get("image")[0].proto.imgs
    assert "10 new images" in image.caption
    assert "one row for each of 3, 7" in image.caption
    assert not visit("sample", run=lab.runs["codes"].id).multiselect


def test_a_sweep_shows_the_same_noise_at_every_temperature(lab: genlab.Workspace) -> None:
    app = visit("sample", run=lab.runs["codes"].id)
    assert len(pictures(app)) == 1
    fine(app.toggle(key="sweep").set_value(True).run())
    assert len(pictures(app)) == 2


@pytest.mark.parametrize("name", ["codes", "bayes", "game"])
def test_the_latent_page_takes_runs_that_encode(lab: genlab.Workspace, name: str) -> None:
    app = visit("latent", run=lab.runs[name].id)
    able = lab.runs[name].can("encodes")
    assert (app.selectbox[0].value == lab.runs[name].id) == able
    assert len(app.info) == (not able)


def test_points_can_be_coloured_by_anything(lab: genlab.Workspace) -> None:
    app = visit("latent", run=lab.runs["codes"].id, limit=500)
    names = app.selectbox(key="colour").options
    assert {"class", "nothing", "KL / nats", "squared error of the reconstruction", "negative ELBO / nats"} <= set(
        names
    )
    for name in names:
        fine(app.selectbox(key="colour").set_value(name).run())
        assert f"coloured by {name}" in captions(app)


def test_projections_have_two_or_three_axes(lab: genlab.Workspace) -> None:
    app = visit("latent", run=lab.runs["codes"].id, limit=500, axes="3-D")
    assert "scatter3d" in app.get("plotly_chart")[0].proto.spec
    assert "t-SNE of the codes" in captions(visit("latent", run=lab.runs["unlabelled"].id, method="t-SNE"))


def test_the_plane_is_shown_for_two_dimensions_only(lab: genlab.Workspace) -> None:
    headings = {
        name: [each.value for each in visit("latent", run=lab.runs[name].id).subheader] for name in ("plane", "codes")
    }
    assert headings == {"plane": ["Under your finger", "The plane, decoded"], "codes": ["Under your finger"]}


def test_a_selection_gives_each_image_once() -> None:
    points = [{"customdata": [7]}, {"customdata": {"0": 2}}, {"customdata": [7]}, {"x": 1.0}]
    assert selected({"selection": {"points": points}}) == [7, 2]
    assert selected(None) == []


def test_walks_go_both_ways_through_images_and_prior(lab: genlab.Workspace) -> None:
    app = visit("interpolate", run=lab.runs["codes"].id, ends="3, 5, 8", steps=4)
    assert pictures(app)[0].count("<img") == 4  # two stretches, each both ways
    assert "image 3 (3)" in captions(app)
    fine(app.toggle(key="closed").set_value(True).run())
    assert pictures(app)[0].count("<img") == 6
    fine(app.button_group(key="between").set_value("Prior draws").run())
    assert "draws from the prior (seeds 0 to 1)" in captions(app)


def test_a_model_without_encoder_walks_in_its_prior_and_says_so(lab: genlab.Workspace) -> None:
    app = visit("interpolate", run=lab.runs["game"].id)
    assert "has no encoder" in app.info[0].value
    assert app.button_group(key="way").options == ["Walk", "Plane"]
    assert pictures(app)


def test_styles_are_mixed_in_a_table_of_rows_and_columns(lab: genlab.Workspace) -> None:
    run = lab.runs["styles"]
    app = visit("interpolate", run=run.id, way="Style mixing", rows=2, columns=3)
    assert app.button_group(key="way").options == ["Walk", "Plane", "Style mixing"]
    assert "below level 1 of 3" in captions(app)
    table, one_pair = pictures(app)
    assert [table.count("<img"), one_pair.count("<img")] == [3, 1]
    strips = table.split("<img")
    fine(app.slider(key="level").set_value(0).run())
    changed = [a != b for a, b in zip(strips, pictures(app)[0].split("<img"), strict=True)]
    assert changed == [False, False, True, True]  # the sources above stay, both rows follow the level
    assert pictures(app)[1] == one_pair
    cells = mixing_table(run, [0, 1], [2, 3, 4], 0).array.reshape(3, 4, 1, 8, 8)
    assert np.allclose(cells[1:, 1:], cells[:1, 1:], atol=1e-5)  # at level 0 a row is its columns' sources
    assert np.allclose(cells[1:, 0], run.decode(np.concatenate([run.codes(0), run.codes(1)])).array, atol=1e-5)
    assert "Style mixing" not in visit("interpolate", run=lab.runs["game"].id).button_group(key="way").options


def test_a_conditional_game_is_drawn_by_class_and_walked_through(lab: genlab.Workspace) -> None:
    run = lab.runs["labels"]
    app = visit("sample", run=run.id, classes=["3", "7"], count=4)
    (image,) = app.get("image")[0].proto.imgs
    assert "one row for each of 3, 7" in image.caption
    assert "draws from the prior" in captions(visit("interpolate", run=run.id))


def test_traversals_come_in_the_order_of_their_kl(lab: genlab.Workspace) -> None:
    run = lab.runs["codes"]
    app = visit("interpolate", run=run.id, way="Traverse")
    order = np.argsort(-run.latent_statistics().kl)
    places = [pictures(app)[0].index(f">z{dimension}\n") for dimension in order]
    assert places == sorted(places)


def test_attributes_need_classes(lab: genlab.Workspace) -> None:
    app = visit("interpolate", run=lab.runs["codes"].id, way="Attributes")
    assert "mean code of 9 − mean code of 0" in captions(app)
    before = pictures(app)
    fine(app.slider(key="strength").set_value(2.0).run())
    assert pictures(app) != before


def test_attributes_of_two_selections_are_the_difference_of_their_mean_codes(lab: genlab.Workspace) -> None:
    run = lab.runs["unlabelled"]
    asked = {"run": run.id, "way": "Attributes"}
    assert "Draw a lasso" in visit("interpolate", **asked).info[0].value
    app = visit("interpolate", **asked, these="3, 8-10", those="20-22", edited="5")
    assert "mean code of these 4 images − mean code of those 3" in captions(app)
    codes = run.encode(Images(np.asarray(run.images.images[[3, 8, 9, 10, 20, 21, 22, 5]]))).mean
    moved = codes[7] + np.linspace(-1, 1, 7)[:, None] * (codes[:4].mean(0) - codes[4:7].mean(0))
    expected = Images(run.decode(moved).array, "")
    assert f'src="{strip(expected)}"' in pictures(app)[0]
    refused = app.text_input(key="these").set_value("99999").run()
    assert "There is no image 99999" in refused.error[0].value


def test_selections_are_taken_as_sides_and_taken_back(lab: genlab.Workspace) -> None:
    def script(name: str) -> None:
        import numpy as np

        import genlab
        from genlab.ui.explore_attributes import take_side

        take_side(genlab.Workspace().runs[name], np.array([8, 3, 9, 10]))

    app = fine(AppTest.from_function(script, args=("unlabelled",), default_timeout=60).run())
    assert [button.key for button in app.button] == ["take-these", "take-those"]
    fine(app.button(key="take-these").click().run())
    assert "4 images as “these”" in app.caption[0].value
    fine(app.button(key="take-those").click().run())
    assert app.session_state["attribute-sides"][-1][1:] == ("those", "3, 8-10")
    assert app.caption[0].value == "Taken so far: 4 images as “these”, 4 images as “those”."
    fine(app.button(key="take-undo").click().run())
    assert app.caption[0].value == "Taken so far: 4 images as “these”."


def test_sliders_change_the_triplet(lab: genlab.Workspace) -> None:
    app = visit("triplets", run=lab.runs["codes"].id)
    before = pictures(app)
    assert before[0].count("<img") == 2 + 2 * 4
    fine(app.slider(key="negative_radius").set_value(0.9).run())
    after = pictures(app)
    changed = [a != b for a, b in zip(before[0].split("<img"), after[0].split("<img"), strict=True)]
    assert changed == [False] * 7 + [True] * 4  # anchor, positives and reconstruction stay as they were


def test_a_positive_beyond_the_negative_is_explained(lab: genlab.Workspace) -> None:
    app = visit("triplets", run=lab.runs["codes"].id)
    fine(app.slider(key="positive_radius").set_value(0.5).run())
    assert "lower the positive radius or raise the negative one" in app.warning[0].value
    assert not pictures(app)
    fine(app.slider(key="negative_radius").set_value(0.6).run())
    assert pictures(app)
    assert not app.warning


@pytest.mark.parametrize("name", TRIPLET_PRESETS)
def test_presets_set_the_sliders(lab: genlab.Workspace, name: str) -> None:
    app = visit("triplets", run=lab.runs["codes"].id, positive_radius=0.07, negative_toward_mean=0.2)
    fine(app.button(key=f"preset-{name}").click().run())
    for slider in ("positive_radius", "negative_radius", "positive_toward_mean", "negative_toward_mean"):
        assert app.slider(key=slider).value == getattr(TRIPLET_PRESETS[name], slider)


def test_many_anchors_and_every_chart(lab: genlab.Workspace) -> None:
    app = visit("triplets", run=lab.runs["codes"].id, anchors="1, 4-6", draws=2)
    assert len(pictures(app)) == 4 + 1  # and the map
    views = {
        "Distances": "distance of codes",
        "Displacements": "move along each dimension",
        "Where they lie": "among the codes",
    }
    for view, words in views.items():
        fine(app.button_group(key="view").set_value(view).run())
        assert words in captions(app)
    before = pictures(app)
    fine(app.button_group(key="step").set_value("sigma").run())
    steps = pictures(app)
    fine(app.button_group(key="stochastic_radius").set_value("per draw").run())
    assert before != steps != pictures(app)


def test_exported_triplets_are_those_sampled(lab: genlab.Workspace) -> None:
    run = lab.runs["codes"]
    names = ["image 0", "image 1"]
    triplets = run.triplets(Images(run.images.images[:2]), seed=3, draws=3)
    with np.load(io.BytesIO(triplet_npz(triplets))) as arrays:
        assert np.array_equal(arrays["negative_codes"], triplets.negative_codes)
        assert arrays["positives"].shape == (6, 1, 8, 8)
    rows = distance_rows(triplets, names)
    far = np.linalg.norm(triplets.negative_codes[4] - triplets.anchor_codes[1])
    assert rows[4]["anchor"] == "image 1"
    assert rows[4]["draw"] == 2
    assert rows[4]["negative code distance"] == pytest.approx(far)
    with zipfile.ZipFile(io.BytesIO(triplet_zip(triplets, names, {"seed": 3}))) as archive:
        assert len(archive.namelist()) == 2 + 2 + 6 + 6 + 2
        assert json.loads(archive.read("settings.json")) == {"seed": 3, "anchors": names}
        assert archive.read("distances.csv").decode().count("\n") == 7
        assert archive.read("00001-positive-2.png") == _png(triplets.positives.array[4])


def test_only_what_differs_is_listed(lab: genlab.Workspace) -> None:
    runs = [lab.runs["codes"], lab.runs["plane"]]
    rows, same = differences(runs)
    assert [row["parameter"] for row in rows] == ["latent dim", "epochs"]
    assert rows[0] == {"parameter": "latent dim", "codes": "4", "plane": "2"}
    assert same == 3 + len(runs[0].config.parameters) + len(runs[0].config.settings) - 2
    assert short_names([runs[0], runs[0]])[0] != "codes"


def test_the_address_restores_a_comparison(lab: genlab.Workspace) -> None:
    ids = [lab.runs[name].id for name in ("plane", "game")]
    app = visit("compare", runs=ids, axis="Seconds", seed=5)
    assert app.multiselect(key="compared").value == ids
    assert app.number_input(key="seed").value == 5
    assert "over seconds" in captions(app)
    assert "from seed 5" in captions(app)
    assert all(f"runs={id}" in app.code[0].value for id in ids)


def test_metrics_are_measured_when_asked_for(lab: genlab.Workspace) -> None:
    run = lab.runs["plane"]
    app = visit("compare", runs=run.id, measured=100)
    assert "Nothing is measured until you ask" in captions(app)
    fine(app.button(key="measure").click().run())
    shown = {row["metric"]: row for row in app.dataframe[1].value.to_dict("records")}
    measured = run.evaluate(["mse", "active_units"], limit=100)
    assert float(shown["Reconstruction error"]["plane"]) == pytest.approx(measured["mse"].value, rel=1e-3)
    assert shown["Active units / dimensions"]["plane"] == f"{measured['active_units'].value:.4g}"
    assert table({"plane": measured})[0]["better"] == "↓ lower"
    samples = list(shown).index("Fréchet distance of features")
    assert list(shown).index("Reconstruction error") < samples < list(shown).index("Active units / dimensions")
    found = run.memorised()
    memorised = captions(app)
    assert "Of 300 samples of “plane” the 12 that lie nearest" in memorised
    assert f"{found.usual:.2f} (median)" in memorised
    assert f"of the samples {100 * found.share:.0f} %." in memorised
    app.selectbox(key="features").select("pixels-PCA").run()
    assert app.button(key="measure")  # other features are another measurement


def test_the_table_keeps_readings_apart_and_says_ranges_and_where_images_are_few(lab: genlab.Workspace) -> None:
    measured = lab.runs["plane"].evaluate(["elbo_bits", "mse"], limit=20)
    assert measured["elbo_bits"].reading == "bernoulli"
    gaussian = replace(measured["elbo_bits"], value=7.5, n=400, warning="", reading="density")
    rows = {row["metric"]: row for row in table({"plane": measured, "other": {"elbo_bits": gaussian}})}
    bernoulli, density = (
        rows[f"Bound in bits per dimension / bits ({kind})"] for kind in ("Bernoulli pixels", "a density")
    )
    assert (bernoulli["other"], density["plane"], density["other"]) == ("–", "–", "7.5")
    assert bernoulli["plane"] == f"{measured['elbo_bits'].value:.4g}"
    assert (bernoulli["images"], density["images"]) == ("20, too few", "400")
    assert (rows["Reconstruction error"]["range"], density["range"]) == ("0 to 1", "any")
    app = visit("compare", runs=lab.runs["unlabelled"].id, measured=100)
    fine(app.button(key="measure").click().run())
    few = lab.runs["unlabelled"].evaluate(["mse"])["mse"]
    assert few.warning in captions(app)
    shown = {row["metric"]: row for row in app.dataframe[1].value.to_dict("records")}
    assert shown["Reconstruction error"]["images"] == f"{few.n}, too few"


def test_pairs_of_images_stand_beside_each_other() -> None:
    left, right = (Images(np.full((2, 1, 4, 28), value, np.float32), "") for value in (0.25, 0.75))
    pairs = side_by_side(left, right, 255).array
    assert pairs.shape == (2, 1, 4, 58)
    assert pairs[0, 0, 0, [0, 27, 28, 29, 30, 57]].tolist() == [0.25, 0.25, 1, 1, 0.75, 0.75]


def test_numbers_of_images_are_read_or_refused() -> None:
    assert parse_numbers("0", 3) == [0]
    assert parse_numbers(" 5;7 9-11 ", 12) == [5, 7, 9, 10, 11]
    for text in ("", "x", "-3", "3,,a", "1.5", "9999999999"):
        with pytest.raises(BadInputError, match="not the number of an image"):
            parse_numbers(text, 10)
    with pytest.raises(BadInputError, match="There is no image 10; the set has 10"):
        parse_numbers("10", 10)
    with pytest.raises(BadInputError, match="Choose 2 to 8 images; at the moment it is 1"):
        parse_numbers("1", 10, fewest=2)
    with pytest.raises(BadInputError, match="Choose 1 to 4 images"):
        parse_numbers("0-9", 10, most=4)


def ways(app: AppTest, part: str) -> list[bool]:
    """Whether one may go back and forth there; nothing where the buttons are not shown."""
    keys = [f"history-{part}-{way}" for way in ("undo", "redo")]
    return [not button.disabled for button in app.button if button.key in keys]


def step(app: AppTest, part: str, way: str) -> AppTest:
    return fine(app.button(key=f"history-{part}-{way}").click().run())


@pytest.mark.parametrize("part", CONTROLS)
def test_every_control_has_an_undo(lab: genlab.Workspace, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = set[str]()
    monkeypatch.setattr(History, "note", lambda self, values: noted.update(values))
    name, query = CONTROLS[part]
    app = visit(part.split()[0], run=lab.runs[name].id, runs=[lab.runs["codes"].id, lab.runs["plane"].id], **query)
    kinds = (
        "slider",
        "select_slider",
        "selectbox",
        "multiselect",
        "number_input",
        "text_input",
        "toggle",
        "radio",
        "button_group",
    )
    keys = {widget.key for kind in kinds for widget in app.get(kind)}
    assert keys
    assert keys <= noted
    assert not [button.key for button in app.button if button.key.endswith(("-undo", "-redo"))]


def test_what_was_set_is_taken_back_and_done_again(lab: genlab.Workspace) -> None:
    app = visit("sample", run=lab.runs["codes"].id, temperature=0.5)
    assert ways(app, "sample") == []
    seen = [pictures(app)]
    for key, value in (("count", 4), ("temperature", 1.5)):
        fine(app.slider(key=key).set_value(value).run())
        seen.append(pictures(app))
    fine(app.button(key="seed-next").click().run())
    seen.append(pictures(app))
    for back in (2, 1, 0):
        step(app, "sample", "undo")
        assert pictures(app) == seen[back]
        assert ways(app, "sample") == [back > 0, True]
    assert [app.slider(key=key).value for key in ("count", "temperature")] == [36, 0.5]
    step(app, "sample", "redo")
    assert pictures(app) == seen[1]
    fine(app.toggle(key="sweep").set_value(True).run())
    assert ways(app, "sample") == [True, False]  # after another change there is nothing to be done again
    assert app.query_params["temperature"] == "0.5"


def test_chosen_images_are_taken_back_even_where_they_cannot_be_used(lab: genlab.Workspace) -> None:
    app = visit("interpolate", run=lab.runs["codes"].id, ends="3, 5")
    field = app.text_input(key="ends")
    before = pictures(app)
    assert "There is no image 99999" in field.set_value("3, 99999").run().error[0].value
    step(app, "ends", "undo")
    assert (app.text_input(key="ends").value, pictures(app)) == ("3, 5", before)
    same = visit("interpolate", run=lab.runs["codes"].id, way="Attributes")
    refused = same.selectbox(key="towards").set_value("0").run()
    assert "two different classes" in refused.error[0].value
    assert "mean code of 9 − mean code of 0" in captions(step(same, "attributes", "undo"))


def test_a_choice_of_runs_is_taken_back_and_other_runs_begin_anew(lab: genlab.Workspace) -> None:
    first, second = (lab.runs[name].id for name in ("codes", "plane"))
    app = visit("sample", run=first)
    fine(app.slider(key="count").set_value(4).run())
    fine(app.selectbox(key="choose-run").set_value(second).run())
    assert ways(app, "sample") == []
    step(app, "run", "undo")
    assert app.query_params["run"] == first
    assert "“codes”" in captions(app)
    compared = visit("compare", runs=[first, second])
    fine(compared.multiselect(key="compared").set_value([]).run())
    assert compared.info[0].value == "Choose at least one run above."
    assert step(compared, "compared", "undo").query_params["runs"] == [first, second]


def test_radii_that_contradict_each_other_are_taken_back_where_the_rings_are_hidden(lab: genlab.Workspace) -> None:
    app = visit("triplets", run=lab.runs["codes"].id, negative_radius=0.4)
    before = pictures(app)
    assert ways(app, "triplet-radii") == []  # the rings have their own
    fine(app.slider(key="positive_radius").set_value(0.2).run())
    app.slider(key="positive_radius").set_value(0.9).run()
    assert "its radius 0.9 is not below 0.4" in app.warning[0].value
    assert ways(app, "triplet-radii") == [True, False]
    step(app, "triplet-radii", "undo")
    assert (app.slider(key="positive_radius").value, app.slider(key="negative_radius").value) == (0.2, 0.4)
    assert pictures(app) != before
    assert ways(app, "triplet-radii") == []
    assert not app.warning


def test_another_part_of_a_page_is_taken_back(lab: genlab.Workspace) -> None:
    app = visit("interpolate", run=lab.runs["codes"].id)
    fine(app.button_group(key="way").set_value("Traverse").run())
    fine(app.button_group(key="way").set_value("Attributes").run())
    assert step(app, "part-way", "undo").query_params["way"] == "Traverse"
    assert app.slider(key="shown").value
    assert "way" not in step(app, "part-way", "undo").query_params  # a walk, as at first
    assert ways(app, "part-way") == [False, True]
    assert step(app, "part-way", "redo").query_params["way"] == "Traverse"


def test_ways_of_looking_for_images_are_taken_back(lab: genlab.Workspace) -> None:
    app = visit("interpolate", run=lab.runs["codes"].id)
    fine(app.number_input(key="ends-page").set_value(3).run())
    fine(app.selectbox(key="ends-class").set_value("7").run())
    step(app, "ends-seen", "undo")
    assert (app.selectbox(key="ends-class").value, app.number_input(key="ends-page").value) == ("every class", 3)
    fine(app.button_group(key="ends-origin").set_value("My pictures").run())
    assert app.button_group(key="ends-own-tone").value == FIT
    step(app, "ends-origin", "undo")
    assert app.text_input(key="ends").value
    assert "ends-own-tone" not in {group.key for group in app.button_group}


def test_the_tone_of_an_own_picture_is_taken_back(lab: genlab.Workspace) -> None:
    app = visit("latent", run=lab.runs["plane"].id, limit=500)
    fine(app.button_group(key="newcomer-tone").set_value(SWAPPED).run())
    fine(app.toggle(key="newcomer-camera").set_value(True).run())
    step(app, "newcomer", "undo")
    assert (app.toggle(key="newcomer-camera").value, app.button_group(key="newcomer-tone").value) == (False, SWAPPED)
    step(app, "newcomer", "undo")
    assert app.button_group(key="newcomer-tone").value == FIT


def test_ways_to_hand_a_picture_over_have_an_undo_where_images_are_chosen(lab: genlab.Workspace) -> None:
    app = visit("interpolate", run=lab.runs["codes"].id, ends="3, 5")
    fine(app.button_group(key="ends-origin").set_value("My pictures").run())
    assert "Until you hand one over: image 3 (3), image 5 (5)." in captions(app)
    fine(app.button_group(key="ends-own-tone").set_value(SWAPPED).run())
    fine(app.toggle(key="ends-own-camera").set_value(True).run())
    for camera, tone in ((False, SWAPPED), (False, FIT)):
        step(app, "ends-own", "undo")
        assert (app.toggle(key="ends-own-camera").value, app.button_group(key="ends-own-tone").value) == (camera, tone)


def test_a_play_of_the_theatre_is_taken_back() -> None:
    app = visit("theatre", model="gan", cloud="ring")
    fine(app.selectbox(key="loss").set_value("least_squares").run())
    fine(app.button_group(key="model").set_value("vae").run())
    fine(app.number_input(key="seed").set_value(4).run())
    step(app, "theatre", "undo")
    assert (app.button_group(key="model").value, app.number_input(key="seed").value) == ("vae", 0)
    step(app, "theatre", "undo")
    assert (app.button_group(key="model").value, app.selectbox(key="loss").value) == ("gan", "least_squares")
    step(app, "theatre", "undo")
    assert app.selectbox(key="loss").value != "least_squares"
    assert ways(app, "theatre") == [False, True]


def test_links_bring_the_parameters_of_a_play_back_where_they_can_stand_there() -> None:
    app = visit(
        "theatre", model="vae", cloud="ring", latent_dim=1, sigma=0.05, learning_rate="0.02", beta="nan", hidden=9999
    )
    values = {name: app.session_state[f"theatre-vae-{name}"] for name in ("latent_dim", "sigma", "beta", "hidden")}
    assert values == {"latent_dim": 1, "sigma": 0.05, "beta": 1.0, "hidden": 64}
    assert app.select_slider(key="theatre-vae-learning_rate").value == 0.02
    kept = {name: app.query_params.get(name) for name in ("latent_dim", "sigma", "learning_rate", "beta", "hidden")}
    assert kept == {"latent_dim": "1", "sigma": "0.05", "learning_rate": "0.02", "beta": None, "hidden": None}
    fine(app.number_input(key="theatre-vae-latent_dim").set_value(2).run())
    assert "latent_dim" not in app.query_params
    fine(app.button_group(key="model").set_value("gan").run())
    assert "sigma" not in app.query_params
    assert app.select_slider(key="theatre-gan-learning_rate").value == 0.001  # that of the link was the other model's
    other = visit("theatre", model="gmm", components=3, covariance="tied", start="nowhere", regularisation=0.00015)
    assert [other.session_state[f"theatre-gmm-{name}"] for name in ("components", "covariance", "start")] == [
        3,
        "tied",
        "random",
    ]
    assert other.select_slider(key="theatre-gmm-regularisation").value == 1e-4


def test_a_drawing_fits_into_a_link_as_it_is_or_is_refused() -> None:
    rng = np.random.default_rng(2)
    drawn = [(rng.integers(0, 1001, (count, 2)) / 1000).tolist() for count in (1, 2, 90)]
    text = strokes_text(drawn)
    assert strokes_of(text) == drawn
    assert re.fullmatch(r"[\w-]{100,700}", text)
    assert [strokes_of(bad) for bad in ("", "x", text[:-9], strokes_text([[(2.0, 0.5)]]))] == [[]] * 4


def test_what_is_too_long_for_an_address_is_left_out_and_the_page_says_so() -> None:
    def script() -> None:
        import streamlit as st

        from genlab.ui.explore_controls import keep_long

        keep_long("chosen", "x" * st.session_state.get("length", 1500), "The selection")

    app = fine(AppTest.from_function(script).run())
    assert app.query_params["chosen"] == "x" * 1500
    assert not app.caption
    app.session_state["length"] = 1501
    fine(app.run())
    assert "chosen" not in app.query_params
    said = "The selection is too long for the address, so a link to this page leaves it out."
    assert app.caption[0].value.endswith(said)


def test_links_bring_walks_and_traversals_back(lab: genlab.Workspace) -> None:
    run = lab.runs["codes"]
    app = visit("interpolate", run=run.id, between="Prior draws", draws=3, seed=7)
    assert "draws from the prior (seeds 7 to 9)" in captions(app)
    app = visit("interpolate", run=run.id, way="Traverse", shown=3, **{"from-image": "true", "start": "5"})
    assert pictures(app)[0].count("<img") == 3
    assert "Around image 5" in captions(app)
    app = visit("triplets", run=run.id, view="Distances", space="pixel")
    assert "Root mean square difference of decoded pixels" in captions(app)


def test_no_more_steps_are_remembered_than_it_takes() -> None:
    history = History("a run", {"seed": 0})
    for seed in range(1, 2 * STEPS):
        history.note({"seed": seed})
    assert [values["seed"] for values in history.past] == list(range(STEPS - 1, 2 * STEPS - 1))


def test_what_stays_is_spared_by_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.unfreeze()
    monkeypatch.setattr(memory, "_known", 1)
    memory.settle()
    frozen = gc.get_freeze_count()
    assert frozen > 10_000
    kept = [[] for _ in range(1000)]
    memory.settle()  # no new modules: nothing more is put aside
    assert gc.get_freeze_count() == frozen
    assert len(kept) == 1000
    gc.unfreeze()
