"""What the map of codes is given and gives back: selections as text, the sheet of pictures, densities, sets gathered."""

from __future__ import annotations

import io
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from exploring import Auto, Density, FakeRun, floats, pictures, tiny_run
from PIL import Image
from streamlit.testing.v1 import AppTest

import genlab
from genlab.core.errors import BadInputError
from genlab.figures.images import Images
from genlab.latent.density import density
from genlab.ui.components.scatter import Sheet, name_of, packed, sprite_sheet, touched, unpacked
from genlab.ui.explore_newcomer import prepared

rng = np.random.default_rng(3)


def tile(sheet: Sheet, row: int) -> np.ndarray:
    picture = np.asarray(Image.open(io.BytesIO(sheet.content)))
    left, top = row % sheet.across * sheet.width, row // sheet.across * sheet.height
    return picture[top : top + sheet.height, left : left + sheet.width]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_a_selection_survives_its_journey(count: int) -> None:
    for share in (0, 0.3, 1):
        rows = np.flatnonzero(rng.random(count) < share)
        assert np.array_equal(unpacked(packed(rows, count), count), rows)


def test_a_selection_belongs_to_its_points_alone() -> None:
    numbers = np.array([4, 8, 15, 16])
    text = f"{name_of(numbers)}.{packed(np.array([1, 3]), 4)}"
    told = touched({"chosen": text, "frame": 1}, numbers, "", 2)
    assert told.rows.tolist() == [1, 3]
    assert (told.text, told.frame) == (text, 1)
    others = touched({"chosen": text, "frame": 2}, np.array([4, 8, 15, 23]), "", 2)
    assert (others.rows.tolist(), others.text, others.frame) == ([], "", None)
    assert touched({}, numbers, text, 1).rows.tolist() == [1, 3]  # the address's, before the browser says a word
    assert touched({"chosen": f"{name_of(numbers)}."}, numbers, text, 1).text == ""
    for nonsense in ("", "x", "ab.cd.ef", f"{name_of(numbers)}.!"):
        assert touched({"chosen": nonsense}, numbers, text, 1).rows.tolist() == []


def test_the_sheet_has_every_picture_in_its_place() -> None:
    grey = rng.integers(0, 256, (11, 1, 8, 12), dtype=np.uint8)
    sheet = sprite_sheet(grey)
    assert all(np.array_equal(tile(sheet, row), grey[row, 0]) for row in range(11))
    colours = np.broadcast_to(rng.integers(0, 256, (5, 3, 1, 1), dtype=np.uint8), (5, 3, 16, 16))
    sheet = sprite_sheet(colours)
    assert all(np.abs(tile(sheet, row) - colours[row].transpose(1, 2, 0).astype(int)).max() < 6 for row in range(5))


def test_large_pictures_become_small_ones_by_their_means() -> None:
    large = rng.integers(0, 256, (3, 1, 64, 128), dtype=np.uint8)
    sheet = sprite_sheet(large)
    assert (sheet.height, sheet.width) == (32, 64)
    means = large[2, 0].reshape(32, 2, 64, 2).mean((1, 3))
    assert np.abs(tile(sheet, 2) - means).max() <= 0.5


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_density_is_neighbours_per_volume(dimensions: int) -> None:
    points = rng.normal(size=(60, dimensions))
    volume = {1: 2.0, 2: math.pi, 3: 4 / 3 * math.pi}[dimensions]
    for row in (0, 17):
        reach = np.sort([math.dist(points[row], other) for other in points])[5]
        assert density(points, 5)[row] == pytest.approx(math.log10(5 / (volume * reach**dimensions)))


def test_density_stays_a_number_where_points_coincide() -> None:
    points = np.repeat(rng.normal(size=(4, 2)), [30, 1, 1, 1], axis=0)
    found = density(points, 5)
    assert np.isfinite(found).all()
    assert found.argmax() < 30
    assert np.isfinite(density(np.zeros((9, 2)))).all()
    assert density(np.zeros((1, 2))).tolist() == [0]


def test_some_images_of_a_set_are_a_set(tmp_path: Path) -> None:
    lab = genlab.Workspace(tmp_path)
    digits = lab.datasets["digits-8"]
    chosen = np.flatnonzero(np.isin(digits.labels, [2, 5]))[:80]
    made = lab.datasets.gather(digits, chosen[::-1], name="Twos & fives")
    assert (made.name, made.title, made.class_names) == ("twos-fives", "Twos & fives", ("2", "5"))
    assert np.array_equal(made.images, digits.images[chosen])
    assert [int(made.class_names[label]) for label in made.labels] == digits.labels[chosen].tolist()
    held = set(chosen[made.splits["validation"]].tolist())
    assert held
    assert held == set(digits.splits["validation"].tolist()) & set(chosen.tolist())
    assert lab.datasets.gather(digits, chosen).name == "twos-fives"  # the same content is the same set
    assert "twos-fives" in lab.datasets
    trained = lab.datasets.gather(digits, digits.splits["train"][:50], name="Seen")
    assert len(trained.splits["validation"]) == 5


@pytest.mark.parametrize("indices", [[], [-1], [1797]])
def test_a_set_of_no_images_is_refused(tmp_path: Path, indices: list[int]) -> None:
    sets = genlab.Workspace(tmp_path).datasets
    with pytest.raises(BadInputError, match="at least one of the images 0 to 1796"):
        sets.gather(sets["digits-8"], indices)
    assert list(sets.folder.glob(".*")) == []


def test_factors_go_along(tmp_path: Path) -> None:
    sets = genlab.Workspace(tmp_path).datasets
    sprites = sets["sprites"]
    made = sets.gather(sprites, [3, 9, 4])
    assert sprites.factors
    assert all(np.array_equal(made.factors[name], values[[3, 4, 9]]) for name, values in sprites.factors.items())
    assert made.synthetic == sprites.synthetic
    assert made.source == f"3 images of {sprites.title}"


@pytest.mark.parametrize("by", ["likelihood", "bound", "error"])
def test_strangeness_is_the_share_of_held_out_images_that_are_less_strange(tmp_path: Path, by: str) -> None:
    run = (
        tiny_run(tmp_path)
        if by == "bound"
        else FakeRun(Density() if by == "likelihood" else Auto(), pictures(), tmp_path)
    )
    asked = floats(run, 30)[run.images.splits["train"]][:6]
    known = floats(run, 30)[run.images.splits["validation"]]

    def strangeness(images: np.ndarray) -> np.ndarray:
        if by == "error":
            return ((run.decode(run.encode(images).mean).array - images) ** 2).sum((1, 2, 3))
        return -run.likelihoods(images).values

    found = run.anomaly(asked)
    reference = strangeness(known)
    assert found.by == by
    assert found.share.tolist() == [
        sum(other < value for other in reference) / len(known) for value in strangeness(asked)
    ]
    assert len(set(found.share.tolist())) > 1


def test_ink_on_paper_becomes_light_on_dark_as_the_digits_are(tmp_path: Path) -> None:
    lab = genlab.Workspace(tmp_path)
    digits = lab.datasets["digits-28"]
    run = SimpleNamespace(config=SimpleNamespace(data=SimpleNamespace(shape=digits.shape)), images=digits)
    written = digits.images[4000]
    paper = (200 - 0.6 * written).astype(np.uint8)
    light = prepared(run, "scan.png", png(paper))
    assert light.done == "light and dark swapped and contrast stretched"
    assert np.abs(light.image.array[0] - written / 255).max() < 0.05
    same = prepared(run, "digit.png", png(written))
    assert same.done == ""
    assert np.array_equal(same.image.uint8[0], written[0])
    assert prepared(run, "digit.png", png(written), "swapped").image.uint8[0, 0, 0] == 255
    assert np.array_equal(prepared(run, "scan.png", png(paper), "as it is").image.uint8[0], paper[0])


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Images(pixels).picture().save(file, "PNG")
    return file.getvalue()


def test_points_come_before_their_pictures_where_there_are_many() -> None:
    def page() -> None:
        import numpy as np
        import streamlit as st

        from genlab.ui.components import scatter as module

        module.SOON = 10
        calls = st.session_state.setdefault("calls", [])
        sheets: list[bool] = st.session_state.setdefault("sheets", [])
        shown = module._SCATTER

        def noted(**given):
            sheets.append(given["data"]["sheet"] is not None)
            return shown(**given)

        module._SCATTER = noted
        try:
            module.scatter(
                np.zeros((20, 2)), key="map", numbers=np.arange(20), axes=("x", "y"), label="a map",
                colouring=module.Colouring("nothing"),
                sheet=lambda: calls.append(1) or module.sprite_sheet(np.zeros((20, 1, 4, 4), np.uint8)),
            )  # fmt: skip
        finally:
            module._SCATTER, module.SOON = shown, 5000

    app = AppTest.from_function(page).run()
    assert not app.exception
    assert app.session_state["sheets"] == [False, True]
    assert len(app.session_state["calls"]) == 2
