"""Pictures and charts: exact pixels, files that open again, and the numbers behind every chart."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from genlab import figures
from genlab.core.errors import BadInputError
from genlab.figures import Curve, Images, loss_curves
from genlab.figures.curves import smooth, spread
from genlab.figures.palette import DASHES, PALETTE, SYMBOLS, dash, symbol

rng = np.random.default_rng(1)


def rgb(colours) -> np.ndarray:
    return np.array([[int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)] for name in colours])


def linear(colours: np.ndarray) -> np.ndarray:
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def contrast(colour: np.ndarray, ground: np.ndarray) -> float:
    pair = sorted(float(linear(value) @ [0.2126, 0.7152, 0.0722]) + 0.05 for value in (colour, ground))
    return pair[1] / pair[0]


# Machado, Oliveira & Fernandes, A physiologically-based model for simulation of color vision deficiency, 2009
DEUTERANOPE = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPE = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


@pytest.mark.parametrize("eyes", [np.eye(3), DEUTERANOPE, PROTANOPE])
def test_every_two_colours_differ_to_all_eyes(eyes) -> None:
    seen = (linear(rgb(PALETTE)) @ np.array(eyes).T).clip(0, 1)
    shown = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(shown)
    differences = deltaE_ciede2000(lab[:, None], lab[None])[np.triu_indices(len(PALETTE), 1)]
    assert differences.min() > 13


@pytest.mark.parametrize(("ground", "least"), [("#FFFFFF", 1.85), ("#0E1117", 2.85)])
def test_every_colour_stands_out_from_the_page(ground: str, least: float) -> None:
    assert min(contrast(colour, rgb([ground])[0]) for colour in rgb(PALETTE)) > least


def test_categories_beyond_the_colours_differ_in_form() -> None:
    looks = {(figures.colour(i), symbol(i), dash(i)) for i in range(40)}
    assert len(looks) == 40
    assert len(SYMBOLS) == 6
    assert DASHES[0] == "solid"


def test_a_grid_puts_every_pixel_where_it_belongs() -> None:
    values = rng.integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
    grid = np.asarray(Images(values).grid(columns=2, gap=3, scale=2, background=7))
    assert grid.shape == (3 * 8 + 2 * 3, 2 * 12 + 3, 3)
    for index in range(5):
        top, left = index // 2 * 11, index % 2 * 15
        tile = grid[top : top + 8, left : left + 12]
        assert np.array_equal(tile[::2, ::2], values[index].transpose(1, 2, 0))
        assert np.array_equal(tile[1::2, 1::2], tile[::2, ::2])
    assert (grid[8:11] == 7).all()
    assert (grid[22:, 15:] == 7).all()


def test_grey_grids_stay_grey_and_small_images_are_enlarged() -> None:
    grid = Images(np.zeros((4, 1, 8, 8))).grid(gap=1)
    assert grid.mode == "L"
    assert grid.size == (2 * 72 + 1, 2 * 72 + 1)
    assert Images(np.zeros((1, 3, 64, 64))).grid().size == (64, 64)


def test_labels_are_written_below_their_images() -> None:
    images = Images(np.ones((2, 3, 30, 30)))
    plain = images.grid(columns=2, scale=1, gap=2)
    named = images.grid(columns=2, scale=1, gap=2, labels=["3", "7"])
    assert named.height == plain.height + 14
    below = np.asarray(named)[30:]
    assert (below[:, :30] < 128).any()
    assert (below[:, 32:] < 128).any()
    with pytest.raises(BadInputError, match="as many labels"):
        images.grid(labels=["3"])


@pytest.mark.parametrize("ending", ["png", "webp", "tiff", "bmp"])
def test_lossless_files_hold_the_grid(ending: str, tmp_path: Path) -> None:
    images = Images(rng.random((3, 3, 8, 8)))
    file = images.save(tmp_path / "new" / f"grid.{ending}", columns=3)
    assert np.array_equal(np.asarray(Image.open(file).convert("RGB")), np.asarray(images.grid(3)))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(images.png_bytes(3)))), np.asarray(images.grid(3)))


def test_unknown_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"\.png"):
        Images(np.zeros((1, 1, 2, 2))).save(tmp_path / "grid.pdf")


def test_gif_has_every_frame_in_order(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 5)[:, None, None, None] * np.ones((5, 1, 16, 16))
    with Image.open(Images(values).gif(tmp_path / "walk.gif", milliseconds=120, scale=1)) as walk:
        assert walk.n_frames == 5
        levels = []
        for frame in range(5):
            walk.seek(frame)
            assert walk.info["duration"] == 120
            levels.append(int(np.asarray(walk.convert("L")).mean()))
        assert walk.info["loop"] == 0
    assert levels == sorted(levels)
    with Image.open(io.BytesIO(Images(values).gif_bytes(bounce=True))) as walk:
        assert walk.n_frames == 8
    assert Images(values).save(tmp_path / "same.gif").stat().st_size > 0


def test_a_gif_has_all_colours_of_every_frame() -> None:
    images = Images(rng.random((4, 3, 12, 12)))
    with Image.open(io.BytesIO(images.gif_bytes(scale=2, bounce=True))) as film:
        for place, index in enumerate([0, 1, 2, 3, 2, 1]):
            film.seek(place)
            shown, whole = (
                np.asarray(picture.convert("RGB"), int) for picture in (film, images.picture(index, scale=2))
            )
            assert np.array_equal(shown, whole)  # 144 colours, so that none is lost
    for film in (Images.gif_bytes, Images.mp4_bytes):
        with pytest.raises(BadInputError, match="no images to animate"):
            film(images[[]])


def test_zip_holds_every_image_exactly() -> None:
    values = rng.integers(0, 256, (3, 1, 5, 7), dtype=np.uint8)
    with zipfile.ZipFile(io.BytesIO(Images(values).zip_bytes(names=["a", "b", "c"]))) as archive:
        assert archive.namelist() == ["a.png", "b.png", "c.png"]
        assert np.array_equal(np.asarray(Image.open(archive.open("b.png"))), values[1, 0])


def test_images_accept_arrays_tensors_and_bytes() -> None:
    values = rng.integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    floats = values.astype(np.float64) / 255
    for given in (values, floats, torch.tensor(values), torch.tensor(floats), Images(values)):
        assert np.allclose(Images(given).array, floats, atol=1e-7)
        assert Images(given).array.dtype == np.float32
    assert np.array_equal(Images(floats).uint8, values.transpose(0, 2, 3, 1))
    assert len(Images(values)[0]) == 1
    assert np.array_equal(Images(values)[1:].array, Images(values[1:]).array)
    assert Images(values[0]).array.shape == (1, 3, 4, 4)


@pytest.mark.parametrize("given", [np.zeros((2, 2)), np.full((1, 1, 2, 2), 9.0), np.full((1, 1, 2, 2), np.nan)])
def test_images_refuse_what_is_none(given: np.ndarray) -> None:
    with pytest.raises(BadInputError):
        Images(given)


def test_empty_grids_are_refused() -> None:
    with pytest.raises(BadInputError, match="at least one"):
        Images(np.zeros((0, 1, 4, 4))).grid()


def test_smoothing_is_the_unbiased_moving_average() -> None:
    values = rng.normal(size=20)
    found = smooth(values, 0.9)
    for t in (0, 1, 7, 19):
        weights = 0.9 ** (t - np.arange(t + 1))
        assert found[t] == pytest.approx((weights * values[: t + 1]).sum() / weights.sum())
    assert np.array_equal(smooth(values, 0), values)
    assert np.allclose(smooth(np.full(9, 5.0), 0.99), 5)
    gap = smooth(np.array([1.0, np.nan, 3.0]), 0.5)
    assert np.isnan(gap[1])
    assert gap[2] == pytest.approx((0.5 * 1 + 3) / 1.5)


def test_labels_are_spread_without_overlap_and_little_moved() -> None:
    places = np.array([40.0, 0.0, 42.0, 41.0, 90.0])
    found = spread(places, 10)
    assert (np.diff(found) >= 10 - 1e-9).all()
    assert found[0] == 0
    assert found[-1] == 90
    assert found[1:4].mean() == pytest.approx(41)
    assert spread(np.empty(0), 10).size == 0


def curve(run: str, term: str, validation: bool = False) -> Curve:
    return Curve(run, term, np.arange(1, 6), np.array([5.0, 4.0, 3.0, 2.0, 1.0]), validation)


def test_curves_of_one_run_are_coloured_and_named_by_term() -> None:
    figure = loss_curves([curve("a", "loss"), curve("a", "kl"), curve("a", "kl", True)], axis="epoch", unit="nats")
    assert [trace.name for trace in figure.data] == ["loss", "kl", "kl (validation)"]
    assert [trace.line.dash for trace in figure.data] == ["solid", "solid", "dash"]
    assert figure.data[1].line.color == figure.data[2].line.color != figure.data[0].line.color
    named = {note.text.split("</span> ")[1] for note in figure.layout.annotations}
    assert named == {"loss", "kl", "kl (validation)"}
    assert figure.layout.xaxis.title.text == "epoch"
    assert figure.layout.yaxis.title.text.endswith("/ nats")
    heights = sorted(note.yshift for note in figure.layout.annotations)
    assert np.allclose(np.diff(heights), 16)


def test_curves_of_several_runs_have_a_panel_for_each_term() -> None:
    figure = loss_curves([curve(run, term) for term in ("loss", "kl") for run in ("a", "b")], log=True, axis="seconds")
    assert [trace.yaxis for trace in figure.data] == ["y", "y", "y2", "y2"]
    assert figure.layout.yaxis2.type == "log"
    assert figure.layout.yaxis2.title.text == "kl"
    assert figure.layout.xaxis2.title.text == "time / s"
    assert figure.data[0].line.color == figure.data[2].line.color != figure.data[1].line.color
    assert all(note.y == pytest.approx(0) for note in figure.layout.annotations)  # log10 of the last value


def test_names_of_runs_are_text_and_not_markup() -> None:
    figure = loss_curves([curve("<b>a</b>", "loss"), curve("b", "loss")])
    assert figure.layout.annotations[0].text.endswith("&lt;b&gt;a&lt;/b&gt;")


def test_smoothed_curves_keep_the_raw_ones_behind() -> None:
    figure = loss_curves([curve("a", "loss")], smoothing=0.5, guides={"optimum": 0.5})
    assert [trace.opacity for trace in figure.data] == [0.25, None]
    assert np.allclose(figure.data[1].y, smooth(np.array([5.0, 4, 3, 2, 1]), 0.5))
    assert len(figures.rows(figure)) == 5
    assert any(note.text == "optimum" for note in figure.layout.annotations)


def test_scatter_points_lead_back_to_their_images() -> None:
    points, labels = rng.normal(size=(12, 2)), np.arange(12) % 3
    figure = figures.projection_scatter(
        points, indices=np.arange(100, 112), labels=labels, class_names=("cat", "dog", "cow"), axes=("PC 1", "PC 2")
    )
    assert [trace.name for trace in figure.data] == ["cat", "dog", "cow"]
    assert figure.data[1].customdata[:, 0].tolist() == [101, 104, 107, 110]
    assert np.allclose(figure.data[1].x, points[1::3, 0])
    assert figure.layout.xaxis.title.text == "PC 1"
    assert figure.layout.dragmode == "lasso"


def test_scatter_in_space_by_value_with_marks() -> None:
    figure = figures.projection_scatter(
        rng.normal(size=(9, 3)), values=np.arange(9), values_title="KL / nats", marked=[("anchor", np.zeros(3))]
    )
    assert [trace.type for trace in figure.data] == ["scatter3d", "scatter3d"]
    assert figure.data[0].marker.colorbar.title.text == "KL / nats"
    assert figure.data[1].name == "anchor"
    assert figures.projection_scatter(rng.normal(size=(4000, 2))).data[0].type == "scattergl"


def test_kl_bars_are_sorted_and_grey_where_unused() -> None:
    figure = figures.kl_bars(np.array([0.1, 2.0, 0.0]), active=np.array([True, True, False]))
    assert list(figure.data[0].x) == ["z1", "z0", "z2"]
    assert list(figure.data[0].y) == [2.0, 0.1, 0.0]
    inks = figure.data[0].marker.color
    assert inks[0] == inks[1] != inks[2]
    assert "2 of 3 active" in figure.layout.xaxis.title.text


def test_decoded_plane_lies_on_its_codes() -> None:
    figure = figures.decoded_plane(Images(rng.random((9, 1, 4, 6))), span=2.0)
    sheet = figure.data[0]
    first = (sheet.x0 + 2.5 * sheet.dx, sheet.y0 + 1.5 * sheet.dy)  # centre of the first image: 4 rows, 6 columns
    last = (sheet.x0 + (12 + 2.5) * sheet.dx, sheet.y0 + (8 + 1.5) * sheet.dy)
    assert first == pytest.approx((-2, 2))
    assert last == pytest.approx((2, -2))


def test_triplet_figures_show_both_roles() -> None:
    distances = {"positive": np.array([0.1, 0.2]), "negative": np.array([0.3, 0.5])}
    figure = figures.triplet_distances(distances, title="distance from the anchor")
    shown = {row["series"]: row["x"] for row in figures.rows(figure)}
    assert shown == {"positive": 0.2, "negative": 0.5}
    bars = figures.displacement_bars(np.zeros(3), np.array([1.0, 0, -1]), np.array([2.0, 0, -3]))
    assert list(bars.data[1].y) == [-3.0, 2.0, 0.0]
    assert list(bars.data[0].x) == ["z2", "z0", "z1"]


def test_metric_bars_name_runs_baselines_and_direction() -> None:
    figure = figures.metric_bars(
        {"vae": 0.2, "gan": 0.1}, title="BM", baselines={"mean_image": 0.05}, direction="lower"
    )
    assert list(figure.data[0].y) == ["vae", "gan", "baseline: mean image"]
    assert list(figure.data[0].x) == [0.2, 0.1, 0.05]
    assert "lower is better" in figure.layout.xaxis.title.text


def test_explained_variance_adds_up() -> None:
    figure = figures.explained_variance(np.array([0.5, 0.3, 0.1]))
    assert np.allclose(figure.data[1].y, [0.5, 0.8, 0.9])


def test_every_chart_gives_its_numbers_as_csv() -> None:
    figure = figures.projection_scatter(np.array([[1.0, 2.0], [3.0, 4.0]]), indices=np.array([7, 9]))
    table = list(csv.DictReader(io.StringIO(figures.to_csv(figure))))
    assert table == [
        {"series": "images", "x": "1.0", "y": "2.0", "image": "7"},
        {"series": "images", "x": "3.0", "y": "4.0", "image": "9"},
    ]


def test_figures_load_no_plotly_before_one_is_drawn() -> None:
    code = "import sys, genlab.figures; print([m for m in ('torch', 'plotly', 'PIL') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
