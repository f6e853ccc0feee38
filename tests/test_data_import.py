"""Importing what people have: folders, zips, uploads and arrays; what is refused, why, and that the rest goes in."""

from __future__ import annotations

import gzip
import io
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.core.errors import BadInputError
from genlab.core.shapes import Shape
from genlab.data import decode_images, import_images, open_set
from genlab.data import sources as sources_module


def png(seed: int = 0, size: tuple[int, int] = (12, 12), colour: bool = True) -> bytes:
    """A small random picture (height, width) as PNG."""
    shape = (*size, 3) if colour else size
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def zipped(entries: dict[str, bytes], **options) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


def pictures(folder: Path, names: list[str]) -> Path:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(seed))
    return folder


def test_orbit_as_it_is(shared, tmp_path):
    images = import_images(shared / "data" / "orbit-100x64", tmp_path / "orbit")
    assert (images.count, images.distinct, images.shape) == (36, 21, Shape(3, 64, 100))
    assert images.class_names == ()
    assert images.labels is None
    assert images.refused == ()
    assert any("15 of 36" in remark for remark in images.remarks)
    assert len(images.splits["validation"]) >= 2
    first = np.asarray(Image.open(shared / "data" / "orbit-100x64" / "01.png").convert("RGB"))
    np.testing.assert_array_equal(images.images[0], np.moveaxis(first, -1, 0))


def test_emoji_zip_has_ten_classes(shared, tmp_path):
    images = import_images(shared / "data" / "emoji64.zip", tmp_path / "emoji")
    assert (images.count, images.shape) == (1911, Shape(3, 64, 64))
    assert len(images.class_names) == 10
    assert sum(images.class_counts.values()) == 1911
    assert images.class_counts["flags"] == 270
    assert {refusal.file for refusal in images.refused} == {"README.txt", "LICENSE-code.txt"}


def test_mnist_idx_folder_keeps_its_labels_and_its_test_images(shared, tmp_path):
    images = import_images(shared / "data" / "mnist", tmp_path / "mnist")
    assert (images.count, images.shape) == (70000, Shape(1, 28, 28))
    assert images.class_names == tuple("0123456789")
    assert [len(images.splits[part]) for part in ("train", "validation")] == [60000, 10000]
    with gzip.open(shared / "data" / "mnist" / "t10k-labels-idx1-ubyte.gz") as file:
        test_labels = np.frombuffer(file.read(), dtype=np.uint8, offset=8)
    np.testing.assert_array_equal(images.labels[images.splits["validation"]], test_labels)


def test_each_bad_file_is_named_with_its_reason_and_the_rest_goes_in(tmp_path):
    folder = pictures(tmp_path / "mixed", ["good1.png", "good2.png"])
    (folder / "diary.png").write_text("dear diary")
    photo = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(photo, "JPEG")
    (folder / "cut.jpg").write_bytes(photo.getvalue()[:900])
    Image.new("1", (20000, 20000)).save(folder / "huge.png")
    (folder / "empty.png").touch()
    images = import_images(folder, tmp_path / "set")
    reasons = {refusal.file: refusal.reason for refusal in images.refused}
    assert images.count == 2
    assert "is not an image" in reasons["diary.png"]
    assert "cut short" in reasons["cut.jpg"]
    assert "50,000,000" in reasons["huge.png"]
    assert reasons["empty.png"] == "is empty"
    assert open_set(tmp_path / "set").refused == images.refused


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("diary.png", b"dear diary", "diary.png is not an image"),
        ("cut.png", png(0, (64, 64))[:2000], "cut.png is damaged or cut short"),
        ("none.zip", zipped({}), "There are no images in"),
        ("climb.zip", zipped({"../../evil.png": png()}), "../../evil.png has a name that leads out"),
        ("torn.zip", zipped({"a.png": png()})[:200], "torn.zip is not an image"),
    ],
)
def test_nothing_usable_is_one_sentence_that_names_the_file_and_leaves_nothing(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError) as error:
        import_images(tmp_path / name, tmp_path / "sets" / "set")
    assert says in str(error.value)
    assert str(error.value).count(".\n") == 0
    assert list((tmp_path / "sets").iterdir()) == []


def test_empty_folder_and_missing_path(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match=r"There are no images in .*empty"):
        import_images(tmp_path / "empty", tmp_path / "set")
    with pytest.raises(BadInputError, match="missing does not exist"):
        import_images(tmp_path / "missing", tmp_path / "set")
    with pytest.raises(BadInputError, match="no images in the upload"):
        import_images([], tmp_path / "set")


def test_zip_bomb_is_refused_by_its_declared_size_and_never_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(sources_module, "MOST_BYTES", 10**6)
    bomb = zipped({"bomb.png": bytes(5 * 10**6)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10_000
    (tmp_path / "bomb.zip").write_bytes(bomb)
    read = []
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *arguments, **options: read.append(arguments))
    with pytest.raises(BadInputError, match="unpacks to 5,000,000 bytes"):
        import_images(tmp_path / "bomb.zip", tmp_path / "set")
    assert read == []


def test_a_zip_that_lies_about_its_size_is_cut_off(tmp_path):
    honest = zipped({"bomb.png": bytes(5 * 10**6), "good.png": png()}, compression=zipfile.ZIP_DEFLATED)
    lying = honest.replace((5 * 10**6).to_bytes(4, "little"), (500).to_bytes(4, "little"))
    assert lying != honest
    (tmp_path / "lying.zip").write_bytes(lying)
    images = import_images(tmp_path / "lying.zip", tmp_path / "set")
    assert images.count == 1
    assert images.refused[0].file == "bomb.png"


def test_what_is_read_from_one_zip_is_capped_in_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sources_module, "MOST_BYTES_IN_ALL", len(png(0)) + len(png(1)) + 10)
    (tmp_path / "many.zip").write_bytes(zipped({f"{seed}.png": png(seed) for seed in range(4)}))
    images = import_images(tmp_path / "many.zip", tmp_path / "set")
    assert images.count == 2
    assert [refusal.file for refusal in images.refused] == ["2.png", "3.png"]


def test_zip_members_that_lead_out_or_link_are_refused_by_name(tmp_path):
    names = {"../up.png": png(1), "/abs.png": png(2), "C:\\windows.png": png(3), "fine/in.png": png(4)}
    stream = io.BytesIO(zipped(names))
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("__MACOSX/fine/._in.png", b"resource fork")
        archive.writestr("fine/.DS_Store", b"finder")
    (tmp_path / "mixed.zip").write_bytes(stream.getvalue())
    images = import_images(tmp_path / "mixed.zip", tmp_path / "lab" / "set")
    assert images.count == 1
    reasons = {refusal.file: refusal.reason for refusal in images.refused}
    assert set(reasons) == {"../up.png", "/abs.png", "C:\\windows.png", "link.png"}
    assert "link" in reasons["link.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab", "mixed.zip"]


def test_encrypted_members_are_refused(tmp_path):
    data = bytearray(zipped({"secret.png": png(), "open.png": png(1)}))
    local, central = data.find(b"PK\x03\x04"), data.find(b"PK\x01\x02")
    data[local + 6] |= 1
    data[central + 8] |= 1
    (tmp_path / "half.zip").write_bytes(bytes(data))
    images = import_images(tmp_path / "half.zip", tmp_path / "set")
    assert images.count == 1
    assert images.refused == (("secret.png", "is encrypted"),)


def test_links_inside_a_folder_are_followed_and_links_out_of_it_refused(tmp_path):
    folder = pictures(tmp_path / "mine", ["a.png", "b.png"])
    outside = pictures(tmp_path / "other", ["x.png"]) / "x.png"
    (folder / "inside.png").symlink_to(folder / "a.png")
    (folder / "outside.png").symlink_to(outside)
    images = import_images(folder, tmp_path / "set")
    assert (images.count, images.distinct) == (3, 2)
    assert images.refused == (("outside.png", "is a link that leads out of the folder"),)


@pytest.mark.parametrize(
    ("files", "classes", "labels"),
    [
        (["cat/1.png", "dog/2.png", "cat/3.png"], ("cat", "dog"), [0, 0, 1]),
        (["pets/cat/1.png", "pets/dog/2.png"], ("cat", "dog"), [0, 1]),
        (["n1/images/1.png", "n2/images/2.png"], ("n1", "n2"), [0, 1]),
        (["c10/1.png", "c2/2.png"], ("c2", "c10"), [0, 1]),
        (["a/1.png", "b/2.png", "3.png"], ("a", "b", "unsorted"), [2, 0, 1]),
        (["only/1.png", "only/2.png"], (), None),
        (["1.png", "edited/2.png"], (), None),
    ],
)
def test_labels_come_from_folders(tmp_path, files, classes, labels):
    images = import_images(pictures(tmp_path / "source", files), tmp_path / "set")
    assert images.class_names == classes
    assert (None if images.labels is None else images.labels.tolist()) == labels


def test_train_and_test_folders_are_a_split_and_not_classes(tmp_path):
    files = ["train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "test/dog/4.png"]
    folder = pictures(tmp_path / "source", files)
    (folder / "test/dog/copy.png").write_bytes((folder / "train/dog/2.png").read_bytes())
    images = import_images(folder, tmp_path / "set")
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 1, 1, 0, 1]  # test/cat/3, test/dog/4, test/dog/copy, train/cat/1, train/dog/2
    assert images.splits["validation"].tolist() == [0, 1]  # the copy of a training image is not held out


def test_classes_whose_files_are_all_refused_do_not_exist(tmp_path):
    folder = pictures(tmp_path / "source", ["a/1.png", "b/2.png"])
    (folder / "text").mkdir()
    (folder / "text" / "notes.txt").write_text("hello")
    assert import_images(folder, tmp_path / "set").class_names == ("a", "b")


def test_images_of_different_sizes_become_one_size(tmp_path):
    source = [("a.png", png(0, (50, 80))), ("b.png", png(1, (20, 20)))]
    assert import_images(source, tmp_path / "auto").shape == Shape(3, 64, 64)
    assert import_images(source, tmp_path / "chosen", size="32x48", fit="pad").shape == Shape(3, 32, 48)


def test_a_common_size_is_kept_up_to_128_pixels(tmp_path):
    small = [("a.png", png(0, (100, 128))), ("b.png", png(1, (100, 128)))]
    large = [("a.png", png(0, (129, 100))), ("b.png", png(1, (129, 100)))]
    assert import_images(small, tmp_path / "small").shape == Shape(3, 100, 128)
    assert import_images(large, tmp_path / "large").shape == Shape(3, 64, 64)


def test_grey_is_kept_when_all_are_grey_and_can_be_forced_either_way(tmp_path):
    grey = [("a.png", png(0, colour=False)), ("b.png", png(1, colour=False))]
    stored = io.BytesIO()
    Image.open(io.BytesIO(png(2, colour=False))).convert("RGB").save(stored, "PNG")
    grey.append(("b-in-colour.png", stored.getvalue()))
    mixed = [*grey, ("c.png", png(3))]
    assert import_images(grey, tmp_path / "grey").shape.channels == 1
    assert import_images(mixed, tmp_path / "mixed").shape.channels == 3
    assert import_images(grey, tmp_path / "colour", grey=False).shape.channels == 3
    forced = import_images(mixed, tmp_path / "forced", grey=True)
    assert forced.shape.channels == 1
    expected = np.asarray(Image.open(io.BytesIO(png(3))).convert("L"))
    np.testing.assert_array_equal(forced.images[3, 0], expected)


def test_uploads_may_hold_zips_and_folders(tmp_path):
    upload = [("trip/day1/a.png", png(0)), ("trip/day2/b.png", png(1)), ("more.zip", zipped({"day1/c.png": png(2)}))]
    images = import_images(upload, tmp_path / "set")
    assert images.count == 3
    damaged = import_images([("a.png", png(0)), ("torn.zip", zipped({"b.png": png(1)})[:150])], tmp_path / "part")
    assert damaged.count == 1
    assert damaged.refused[0].file == "torn.zip"


def test_progress_counts_every_file(tmp_path):
    seen = []
    source = [(f"{index}.png", png(index)) for index in range(5)]
    import_images(source, tmp_path / "set", progress=lambda *told: seen.append(told))
    assert seen == [(index + 1, 5, f"{index}.png") for index in range(5)]


def test_an_import_that_is_interrupted_leaves_nothing_and_earlier_sets_intact(tmp_path):
    first = import_images([("a.png", png(0))], tmp_path / "sets" / "first")
    content = first.hash

    def stop(done: int, total: int, file: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_images([(f"{n}.png", png(n)) for n in range(4)], tmp_path / "sets" / "second", progress=stop)
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["first"]
    assert open_set(tmp_path / "sets" / "first").hash == content


def test_a_folder_that_exists_is_never_overwritten(tmp_path):
    first = import_images([("a.png", png(0))], tmp_path / "set")
    with pytest.raises(BadInputError, match="exists already"):
        import_images([("b.png", png(1))], tmp_path / "set")
    assert open_set(tmp_path / "set").hash == first.hash


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def test_npz_with_training_and_test_parts(tmp_path):
    random = np.random.default_rng(0)
    train, test = random.integers(0, 256, (5, 8, 8), dtype=np.uint8), random.integers(0, 256, (3, 8, 8), dtype=np.uint8)
    data = npz(x_train=train, y_train=np.array([7, 3, 7, 3, 3]), x_test=test, y_test=np.array([3, 3, 7]))
    images = import_images([("set.npz", data)], tmp_path / "set")
    (tmp_path / "set.npz").write_bytes(data)
    assert import_images(tmp_path / "set.npz", tmp_path / "of-a-path").hash == images.hash
    np.testing.assert_array_equal(images.images, np.concatenate([train, test])[:, None])
    assert images.class_names == ("3", "7")
    assert images.labels.tolist() == [1, 0, 1, 0, 0, 0, 0, 1]
    assert images.splits["validation"].tolist() == [5, 6, 7]


def test_images_and_labels_in_npy_files_side_by_side(tmp_path):
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "images.npy", np.arange(192, dtype=np.uint8).reshape(3, 8, 8))
    np.save(folder / "labels.npy", np.array([4, 2, 4]))
    images = import_images(folder, tmp_path / "set")
    assert images.class_counts == {"2": 1, "4": 2}
    assert images.refused == ()


def test_npy_of_floats_in_either_layout(tmp_path):
    pixels = np.random.default_rng(0).uniform(size=(4, 8, 10, 3)).astype(np.float32)
    for name, array in (("last", pixels), ("first", np.moveaxis(pixels, -1, 1))):
        np.save(tmp_path / f"{name}.npy", array)
        images = import_images(tmp_path / f"{name}.npy", tmp_path / name)
        np.testing.assert_array_equal(images.images, np.round(np.moveaxis(pixels, -1, 1) * 255).astype(np.uint8))


def test_arrays_are_resized_and_recoloured_on_request(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (3, 20, 20), dtype=np.uint8))
    assert import_images(tmp_path / "a.npy", tmp_path / "set", size=8, grey=False).shape == Shape(3, 8, 8)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([{"a": 1}], dtype=object), "holds no numbers"),
        (np.zeros((4, 8)), "has shape"),
        (np.full((2, 8, 8), -1.0), "pixels are in"),
        (np.full((2, 8, 8), np.nan), "pixels are in"),
    ],
)
def test_arrays_that_are_refused(tmp_path, array, says):
    np.save(tmp_path / "bad.npy", array, allow_pickle=True)
    with pytest.raises(BadInputError, match=says):
        import_images(tmp_path / "bad.npy", tmp_path / "set")


def test_an_array_that_declares_more_than_memory_is_refused(tmp_path):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 4000, 4000), }"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with pytest.raises(BadInputError, match="unpacks to more than"):
        import_images([("vast.npy", data)], tmp_path / "set")


def test_a_torn_idx_file_is_refused(tmp_path):
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (3, 8, 8))
    with pytest.raises(BadInputError, match="no complete IDX"):
        import_images([("train-images-idx3-ubyte", header + bytes(100))], tmp_path / "set")
    whole = import_images([("train-images-idx3-ubyte", header + bytes(range(192)))], tmp_path / "set")
    assert whole.images[1, 0, 0, 0] == 64


def test_decode_images_brings_files_to_a_shape_or_names_the_one_it_cannot(tmp_path):
    folder = pictures(tmp_path / "few", ["a.png", "b.png"])
    assert decode_images(folder, Shape(1, 8, 10)).shape == (2, 1, 8, 10)
    assert decode_images(folder / "a.png", Shape(3, 8, 8)).shape == (1, 3, 8, 8)
    both = decode_images([("z.png", png(1)), ("a.png", png(0))], Shape(3, 12, 12))
    np.testing.assert_array_equal(both[1], decode_images(folder / "a.png", Shape(3, 12, 12))[0])  # order is kept
    (folder / "c.png").write_text("no")
    with pytest.raises(BadInputError, match=r"c.png is not an image"):
        decode_images(folder, Shape(3, 8, 8))


def test_images_of_different_sizes_are_brought_to_one_and_that_is_said(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "mixed").mkdir()
    for name, size in {"a.png": (40, 30), "b.png": (90, 120)}.items():
        Image.new("RGB", size, (200, size[0], 10)).save(tmp_path / "mixed" / name)
    found = import_images(tmp_path / "mixed", tmp_path / "set")
    assert found.shape[1:] == (64, 64)
    assert "The images have different sizes; each was brought to 64x64 (crop)." in found.remarks
    chosen = import_images(tmp_path / "mixed", tmp_path / "chosen", size="32x48")
    assert chosen.shape[1:] == (32, 48)
    assert not any("sizes" in remark for remark in chosen.remarks)
