"""The laboratory's image sets: names, contents that come again, trash, and two processes at once."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.data.bundled import BUNDLED
from genlab.workspace.datasets import Datasets


def upload(seed: int, name: str = "Holiday Pictures.png", side: int = 12) -> list[tuple[str, bytes]]:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return [(name, stream.getvalue())]


@pytest.fixture
def datasets(tmp_path) -> Datasets:
    return Datasets(tmp_path / "lab")


def test_nothing_heavy_is_imported_by_looking(tmp_path):
    code = (
        "import sys; from genlab.workspace.datasets import Datasets; "
        f"names = [info.name for info in Datasets({str(tmp_path)!r}).infos()]; "
        "assert 'digits-28' in names; "
        "print([name for name in ('torch', 'torchvision', 'sklearn', 'scipy', 'mlxtend', 'skimage') if name in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


def test_bundled_sets_are_listed_before_they_are_made(datasets):
    infos = {info.name: info for info in datasets.infos()}
    assert {"digits-8", "digits-28", "digits-relief", "sprites", "log-ends"} == set(datasets) == set(BUNDLED)
    assert infos["digits-28"].status == "made on first use"
    assert infos["digits-28"].available
    assert infos["mnist"].status == "needs a download"
    assert not infos["mnist"].available
    assert not datasets.folder.exists()


@pytest.mark.parametrize("name", ["digits-8", "digits-28", "digits-relief", "sprites", "log-ends"])
def test_a_bundled_set_is_what_its_description_promised(datasets, name):
    made, promised = datasets[name], BUNDLED[name].info
    told = {"status", "created", "class_counts"}
    assert made.info.model_dump(exclude=told) == promised.model_dump(exclude=told)
    assert made.distinct == made.count
    assert int(made.images.max()) >= 250
    assert next(info for info in datasets.infos() if info.name == name).status == "ready"
    assert datasets[name].directory == made.directory


def test_digits_8_are_scaled_from_sixteen_levels(datasets):
    from sklearn.datasets import load_digits

    expected = load_digits()
    made = datasets["digits-8"]
    np.testing.assert_allclose(made.images[:, 0] / 255, expected.images / 16, atol=0.5 / 255)
    np.testing.assert_array_equal(made.labels, expected.target)


def test_names_come_from_the_file_and_stay_unique(datasets):
    first = datasets.add(upload(0))
    second = datasets.add(upload(1))
    third = datasets.add(upload(2), name="digits-8")
    assert [first.name, second.name, third.name] == ["holiday-pictures", "holiday-pictures-2", "digits-8-2"]
    assert first.title == "Holiday Pictures"
    assert list(datasets)[:3] == ["digits-8-2", "holiday-pictures-2", "holiday-pictures"]
    assert datasets["holiday-pictures"].hash == first.hash
    assert len(datasets) == 3 + len(BUNDLED)


def test_the_same_content_again_is_the_same_set(datasets):
    first = datasets.add(upload(0))
    assert datasets.add(upload(0, "other name.png")).name == first.name
    assert datasets.add(upload(0), size=8).name != first.name
    assert [path.name for path in datasets.folder.glob(".*")] == []


def test_unknown_names_are_answered_with_the_nearest(datasets):
    with pytest.raises(UnknownNameError, match="did you mean 'digits-28'"):
        datasets["digits28"]
    with pytest.raises(UnknownNameError, match="image set called 'nowhere'"):
        datasets.resolve("nowhere")
    with pytest.raises(BadInputError, match="does not exist"):
        datasets.resolve("no/such/folder")


def test_a_path_is_imported_once_for_each_content(datasets, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(upload(seed)[0][1])
    first = datasets.resolve(folder)
    decoded = []
    datasets.add = lambda *arguments, **options: decoded.append(arguments)  # type: ignore[method-assign]
    assert datasets.resolve(str(folder)).name == first.name == "mine"
    assert decoded == []
    del datasets.add
    (folder / "3.png").write_bytes(upload(3)[0][1])
    changed = datasets.resolve(folder)
    assert (changed.name, changed.count) == ("mine-2", 4)
    assert datasets.resolve(changed) is changed
    assert datasets.resolve(changed.directory).hash == changed.hash


def test_a_path_whose_set_was_removed_is_imported_again(datasets, tmp_path):
    file = tmp_path / "one.png"
    file.write_bytes(upload(0)[0][1])
    datasets.remove(datasets.resolve(file).name)
    assert datasets.resolve(file).count == 1


def test_removing_can_be_undone(datasets):
    added = datasets.add(upload(0))
    datasets.remove(added.name)
    assert added.name not in datasets
    assert [info.name for info in datasets.trash()] == [added.name]
    assert datasets.restore(added.name).hash == added.hash
    assert datasets.trash() == []
    with pytest.raises(UnknownNameError, match="removed image set"):
        datasets.restore(added.name)


def test_restoring_never_replaces_a_newer_set(datasets):
    datasets.add(upload(0))
    datasets.remove("holiday-pictures")
    newer = datasets.add(upload(1))
    with pytest.raises(BadInputError, match="is here; remove it before"):
        datasets.restore("holiday-pictures")
    assert datasets["holiday-pictures"].hash == newer.hash


def test_what_is_not_here_cannot_be_removed(datasets):
    with pytest.raises(BadInputError, match="nothing to remove"):
        datasets.remove("sprites")
    with pytest.raises(UnknownNameError):
        datasets.remove("nothing")


def test_a_failed_import_leaves_the_others_alone(datasets):
    kept = datasets.add(upload(0))
    with pytest.raises(BadInputError, match=r"diary.png is not an image"):
        datasets.add([("diary.png", b"dear diary")])
    assert [path.name for path in datasets.folder.iterdir()] == [kept.name]
    assert datasets[kept.name].hash == kept.hash


def test_a_damaged_set_does_not_hide_the_others(datasets):
    datasets.add(upload(0))
    broken = datasets.add(upload(1))
    (broken.directory / "set.json").write_text("{")
    assert "holiday-pictures" in list(datasets)
    with pytest.raises(BadInputError, match=r"set.json is damaged"):
        datasets[broken.name]


def test_many_imports_at_once_all_arrive_under_names_of_their_own(datasets):
    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(lambda seed: datasets.add(upload(seed)), range(12)))
    assert len({images.name for images in added}) == 12
    assert len({datasets[images.name].hash for images in added}) == 12


def test_two_processes_make_the_same_bundled_set_at_once(datasets):
    code = f"from genlab.workspace.datasets import Datasets; print(Datasets({str(datasets.folder.parent)!r})['digits-28'].hash)"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    hashes = {process.communicate()[0].strip() for process in both}
    assert all(process.returncode == 0 for process in both)
    assert hashes == {datasets["digits-28"].hash}
    assert [path.name for path in datasets.folder.iterdir()] == ["digits-28"]
    assert set(datasets["digits-28"].class_counts.values()) == {500}


def test_importing_what_a_bundled_set_holds_gives_the_bundled_set(datasets, tmp_path):
    made = Datasets(tmp_path / "elsewhere")["digits-8"]
    for name, label in zip(made.class_names, range(10), strict=True):
        (tmp_path / "digits" / name).mkdir(parents=True)
        for index in np.flatnonzero(made.labels == label):
            Image.fromarray(made.images[index, 0]).save(tmp_path / "digits" / name / f"{index}.png")
    again = datasets.add(tmp_path / "digits")
    assert again.count == 1797
    assert again.hash != made.hash  # the order of the files is another
    order = np.argsort(made.labels, kind="stable")
    np.testing.assert_array_equal(again.images, made.images[order])
    np.savez(tmp_path / "same.npz", x=made.images, y=made.labels)
    assert datasets.add(tmp_path / "same.npz").name == "digits-8"
