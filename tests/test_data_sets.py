"""Image sets: content hash, duplicates, splits, damage, and the order in which batches come."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from genlab.core.errors import BadInputError
from genlab.core.seeding import derived_seed
from genlab.data import Content, import_images, open_set, write_set
from genlab.data.content import content_hash, digests, duplicate_groups, held_out
from genlab.data.loader import ArrayBatches

CPU = torch.device("cpu")


def noise(count: int, seed: int = 0, shape: tuple[int, int, int] = (1, 6, 5)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def split(images: np.ndarray, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    digest = digests(images)
    groups = duplicate_groups(digest)
    return held_out(digest, groups, labels), groups


def test_a_set_comes_back_as_it_was_written(tmp_path):
    images, labels = noise(30), np.arange(30) % 3
    factors = {"x": np.linspace(0, 1, 30)}
    written = write_set(tmp_path / "set", Content(images, labels, ("a", "b", "c"), factors), source="here", title="T")
    opened = open_set(tmp_path / "set")
    np.testing.assert_array_equal(opened.images, images)
    np.testing.assert_array_equal(opened.labels, labels)
    np.testing.assert_array_equal(opened.factors["x"], factors["x"])
    assert isinstance(opened.images, np.memmap)
    assert not opened.images.flags.writeable
    assert opened.labels.dtype == np.int64
    assert (opened.name, opened.title, opened.source, opened.hash) == ("set", "T", "here", written.hash)
    assert opened.class_counts == {"a": 10, "b": 10, "c": 10}
    assert opened.thumbnails([3, 1]).tolist() == images[[3, 1]].transpose(0, 2, 3, 1).tolist()
    tensor = opened.tensor([2])
    assert tensor.dtype == torch.float32
    torch.testing.assert_close(tensor, torch.from_numpy(images[[2]] / 255).float())
    assert len(opened.tensor()) == 30


def test_the_hash_is_the_same_in_another_process_and_depends_on_every_part():
    images, labels = noise(9), np.arange(9) % 2
    code = (
        "import numpy as np; from genlab.data.content import content_hash; "
        "images = np.random.default_rng(0).integers(0, 256, (9, 1, 6, 5), dtype=np.uint8); "
        "print(content_hash(images, np.arange(9) % 2, ('a', 'b')))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    mine = content_hash(images, labels, ("a", "b"))
    assert mine == other
    touched = images.copy()
    touched[4, 0, 3, 2] ^= 1
    others = {
        content_hash(touched, labels, ("a", "b")),
        content_hash(images, 1 - labels, ("a", "b")),
        content_hash(images, labels, ("a", "c")),
        content_hash(images, None, ()),
        content_hash(images.reshape(9, 1, 5, 6), labels, ("a", "b")),
    }
    assert len(others | {mine}) == 6


def test_duplicates_are_found_as_a_slow_comparison_finds_them():
    images = noise(12)[np.random.default_rng(1).integers(0, 12, 40)]
    groups = duplicate_groups(digests(images))
    same = np.array([[bool((one == other).all()) for other in images] for one in images])
    np.testing.assert_array_equal(groups[:, None] == groups[None], same)
    assert groups[0] == 0
    assert set(np.diff(np.maximum.accumulate(groups))) <= {0, 1}


@pytest.mark.parametrize("labelled", [False, True])
def test_duplicates_are_never_parted_and_a_tenth_is_held_out(labelled):
    picks = np.random.default_rng(2).integers(0, 200, 600)
    labels = (picks % 4).astype(np.int64) if labelled else None
    validation, groups = split(noise(200)[picks], labels)
    assert not set(groups[validation]) & set(groups[~validation])
    distinct = len(set(groups))
    assert abs(len(set(groups[validation])) / distinct - 0.1) < 0.02
    if labelled:
        for label in range(4):
            of_class = set(groups[labels == label])
            assert len(of_class & set(groups[validation])) == round(0.1 * len(of_class))


def test_equal_images_under_two_labels_stay_together():
    images = np.concatenate([noise(40), noise(40)])
    validation, groups = split(images, np.repeat([0, 1], 40))
    assert validation.any()
    assert not set(groups[validation]) & set(groups[~validation])


def test_the_split_follows_the_content_and_not_the_order():
    images = noise(50)
    order = np.random.default_rng(3).permutation(50)
    validation, _ = split(images)
    shuffled, _ = split(images[order])
    np.testing.assert_array_equal(validation[order], shuffled)


def test_small_sets_hold_nothing_out_and_say_so(tmp_path):
    nine, ten = write_set(tmp_path / "nine", Content(noise(9))), write_set(tmp_path / "ten", Content(noise(10)))
    assert (len(nine.splits["validation"]), len(nine.splits["train"])) == (0, 9)
    assert any("nothing is held out" in remark for remark in nine.remarks)
    assert (len(ten.splits["validation"]), len(ten.splits["train"])) == (1, 9)
    assert ten.remarks == ()


def test_one_distinct_image_imports_with_a_remark_and_cannot_be_trained_on(tmp_path):
    one = write_set(tmp_path / "one", Content(np.repeat(noise(1), 3, axis=0)))
    assert (one.count, one.distinct) == (3, 1)
    assert any("only one distinct image" in remark for remark in one.remarks)
    with pytest.raises(BadInputError, match="only one distinct image, and training needs at least 2"):
        one.check_trainable()
    write_set(tmp_path / "two", Content(noise(2))).check_trainable()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "images.npy").unlink(), "images.npy is missing or damaged"),
        (lambda folder: (folder / "images.npy").write_bytes(b"nonsense"), "images.npy is missing or damaged"),
        (lambda folder: (folder / "images.npy").open("r+b").truncate(200), "images.npy is missing or damaged"),
        (lambda folder: np.save(folder / "images.npy", noise(3)), "holds 3 images and set.json says 12"),
        (lambda folder: (folder / "set.json").write_text('{"format": 1, "na'), "set.json is damaged"),
        (lambda folder: (folder / "set.json").unlink(), "There is no image set"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_damaged_set_is_one_clear_sentence(tmp_path, damage, says):
    write_set(tmp_path / "set", Content(noise(12)))
    damage(tmp_path / "set")
    with pytest.raises(BadInputError, match=says):
        _ = open_set(tmp_path / "set").images


def test_pickled_arrays_are_never_loaded(tmp_path):
    write_set(tmp_path / "set", Content(noise(12)))
    np.save(tmp_path / "set" / "images.npy", np.array([print] * 12, dtype=object), allow_pickle=True)
    with pytest.raises(BadInputError, match="missing or damaged"):
        _ = open_set(tmp_path / "set").images


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    code = (
        "import resource, numpy as np; from pathlib import Path; from genlab.data import Content, write_set\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"write_set(Path({str(tmp_path)!r}) / 'sets' / 'set', Content(np.zeros((500, 1, 28, 28), dtype=np.uint8)))"
    )
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert "BadInputError: The image set could not be written to" in last
    assert "free some space" in last
    assert list((tmp_path / "sets").iterdir()) == []


def test_a_set_of_a_newer_genlab_is_refused(tmp_path):
    write_set(tmp_path / "set", Content(noise(12)))
    file = tmp_path / "set" / "set.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(BadInputError, match="newer genlab"):
        open_set(tmp_path / "set")


def test_batches_carry_classes_and_labels(tmp_path):
    images = write_set(tmp_path / "set", Content(noise(40), np.arange(40) % 4, tuple("abcd")))
    batches = images.batches()
    assert (batches.classes, batches.shape) == (4, images.shape)
    batch = next(batches.epoch(0, 0, 8, CPU))
    assert batch.images.dtype == torch.float32
    assert batch.labels.tolist() == [
        int(np.flatnonzero((images.tensor() == one).all((1, 2, 3)))[0] % 4) for one in batch.images
    ]


def dealt(batches: ArrayBatches, seed: int, epoch: int, skip: int = 0) -> list[list[float]]:
    return [batch.images[:, 0, 0, 0].tolist() for batch in batches.epoch(seed, epoch, 7, CPU, skip)]


def test_the_order_is_a_function_of_seed_and_epoch():
    images = np.arange(50, dtype=np.uint8)[:, None, None, None]
    batches = ArrayBatches(images, None, {"train": np.arange(50)})
    assert dealt(batches, 3, 2) == dealt(batches, 3, 2)
    assert dealt(batches, 3, 2) != dealt(batches, 3, 1)
    assert dealt(batches, 3, 2) != dealt(batches, 2, 2)
    expected = (
        torch.randperm(50, generator=torch.Generator().manual_seed(derived_seed(3, 2)))[:49] / 255
    )  # 50 = 7 · 7 + 1
    assert [value for batch in dealt(batches, 3, 2) for value in batch] == expected.tolist()


def test_resuming_gives_the_tail_of_the_epoch():
    batches = ArrayBatches(noise(50), None, {"train": np.arange(50)})
    assert len(dealt(batches, 0, 4)) == batches.steps(7) == 7
    assert dealt(batches, 0, 4, skip=3) == dealt(batches, 0, 4)[3:]


def test_importing_twice_gives_the_same_hash(tmp_path, shared):
    first = import_images(shared / "data" / "orbit-100x64", tmp_path / "a")
    second = import_images(shared / "data" / "orbit-100x64", tmp_path / "b")
    assert first.hash == second.hash
    np.testing.assert_array_equal(first.splits["validation"], second.splits["validation"])
