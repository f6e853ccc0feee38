"""Downloads: what torchvision hands over becomes a set, and no network is one clear sentence."""

from __future__ import annotations

from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.data.downloads import DOWNLOADS, make_download
from genlab.workspace.datasets import Datasets


class StubGrey:
    """Holds data as MNIST does: a tensor (N, 28, 28) and integer targets."""

    classes = [f"class {digit}" for digit in range(10)]

    def __init__(self, root, train, download):
        assert download
        random = np.random.default_rng(int(train))
        self.data = torch.from_numpy(random.integers(0, 256, (40 if train else 8, 28, 28), dtype=np.uint8))
        self.targets = torch.arange(len(self.data)) % 10


class StubColour:
    """Holds data as CIFAR does: an array (N, 32, 32, 3) and a list of targets."""

    classes = ["cat", "dog"]

    def __init__(self, root, train, download):
        random = np.random.default_rng(int(train))
        self.data = random.integers(0, 256, (20 if train else 4, 32, 32, 3), dtype=np.uint8)
        self.targets = [index % 2 for index in range(len(self.data))]


class StubSplit:
    """Holds data as SVHN does: an array (N, 3, 32, 32), `labels`, and no class names."""

    def __init__(self, root, split, download):
        random = np.random.default_rng(len(split))
        self.data = random.integers(0, 256, (20 if split == "train" else 4, 3, 32, 32), dtype=np.uint8)
        self.labels = np.arange(len(self.data)) % 3


class StubLetters(StubGrey):
    """EMNIST letters: classes counted from 1, with an empty one before them."""

    classes = ["N/A", "a", "b"]

    def __init__(self, root, split, train, download):
        super().__init__(root, train, download)
        assert split == "letters"
        self.targets = torch.arange(len(self.data)) % 2 + 1


def test_grey_sets(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", StubGrey)
    told = []
    images = make_download("fashion-mnist", tmp_path / "sets" / "fashion-mnist", lambda *seen: told.append(seen))
    assert (images.count, images.title, images.class_names[3]) == (48, "Fashion-MNIST", "class 3")
    np.testing.assert_array_equal(images.images[:40, 0], StubGrey("", True, True).data.numpy())
    assert images.splits["validation"].tolist() == list(range(40, 48))
    assert told[0] == (0, 31_000_000, "Fashion-MNIST")
    assert told[-1] == (31_000_000, 31_000_000, "Fashion-MNIST")
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["fashion-mnist"]


def test_colour_sets(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", StubColour)
    images = make_download("cifar10", tmp_path / "cifar10")
    assert images.shape == (3, 32, 32)
    np.testing.assert_array_equal(images.images[5], np.moveaxis(StubColour("", True, True).data[5], -1, 0))
    assert images.class_counts == {"cat": 12, "dog": 12}


def test_sets_with_named_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "SVHN", StubSplit)
    images = make_download("svhn", tmp_path / "svhn")
    np.testing.assert_array_equal(images.images[:20], StubSplit("", "train", True).data)
    assert images.class_names == ("0", "1", "2")


def test_emnist_is_turned_upright_and_loses_its_empty_class(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "EMNIST", StubLetters)
    images = make_download("emnist-letters", tmp_path / "letters")
    raw = StubGrey("", True, True).data.numpy()
    np.testing.assert_array_equal(images.images[:40, 0], raw.transpose(0, 2, 1))
    assert images.class_names == ("a", "b")
    assert images.labels[:3].tolist() == [0, 1, 0]


def test_through_the_laboratory(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "MNIST", StubGrey)
    datasets = Datasets(tmp_path)
    assert "mnist" in datasets
    assert "mnist" not in list(datasets)
    assert datasets["mnist"].count == 48
    assert "mnist" in list(datasets)
    assert next(info for info in datasets.infos() if info.name == "mnist").status == "ready"


@pytest.mark.parametrize(
    "error", [URLError("no route"), RuntimeError("Error downloading x"), ConnectionResetError(), TimeoutError()]
)
def test_no_network_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, error):
    def unreachable(*arguments, **options):
        raise error

    monkeypatch.setattr(torchvision.datasets, "CIFAR100", unreachable)
    with pytest.raises(BadInputError, match=r"^CIFAR-100 could not be downloaded: .* digits-28\.$"):
        Datasets(tmp_path)["cifar100"]
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_full_disk_is_told_apart(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torchvision.datasets, "MNIST", full)
    with pytest.raises(BadInputError, match="the disk is full"):
        make_download("mnist", tmp_path / "mnist")


def test_every_listed_set_is_known_to_torchvision():
    for download in DOWNLOADS.values():
        assert hasattr(torchvision.datasets, download.dataset)
    with pytest.raises(UnknownNameError, match="did you mean 'mnist'"):
        make_download("mnits", None)
