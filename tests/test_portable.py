"""Decoders as ONNX graphs: the same pixels as PyTorch for every model that decodes, a sentence where it cannot be."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exploring import Generator
from test_contract import NAMES, small, smallest_shape
from tiny import prepared, train

import genlab
from genlab.cli import root
from genlab.core.capabilities import Decodes
from genlab.core.errors import BadInputError
from genlab.core.registry import find
from genlab.nn import portable
from genlab.nn.portable import decode_graph, decoder_graph, weights_of_graph
from genlab.workspace.export import decoder_key


@pytest.mark.parametrize("name", [name for name in NAMES if issubclass(find(name).model, Decodes)])
def test_every_decoder_gives_the_same_pixels_without_pytorch(name: str) -> None:
    model = small(name, smallest_shape(name)).eval()
    graph = decoder_graph(model)
    for count in (1, 2, 7):
        codes = torch.randn(count, model.latent_dim, generator=torch.Generator().manual_seed(99))
        with torch.no_grad():
            expected = model.decode(codes).numpy()
        found = decode_graph(graph, codes.numpy())
        assert found.shape == (count, *model.shape)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert 0 < weights_of_graph(graph) <= sum(weight.numel() for weight in model.state_dict().values()) * 1.05 + 4096


def test_triangular_systems_are_solved_as_pytorch_solves_them() -> None:
    class Solver(Generator):
        def __init__(self, upper: bool, unit: bool) -> None:
            super().__init__(6)
            self.upper, self.unit = upper, unit
            matrix = torch.randn(6, 6, generator=torch.Generator().manual_seed(1)) + 3 * torch.eye(6)
            self.matrix = torch.nn.Parameter(matrix.triu() if upper else matrix.tril())

        def decode(self, codes):
            matrix = self.matrix if not self.unit else self.matrix - self.matrix.diag().diag() + torch.eye(6)
            rows = torch.linalg.solve_triangular(matrix, codes.T, upper=self.upper, unitriangular=self.unit)
            return super().decode(rows.T)

    for upper in (False, True):
        for unit in (False, True):
            model = Solver(upper, unit).eval()
            codes = torch.randn(4, 6)
            with torch.no_grad():
                expected = model.decode(codes).numpy()
            np.testing.assert_allclose(decode_graph(decoder_graph(model), codes.numpy()), expected, rtol=0, atol=1e-5)


def test_what_has_no_counterpart_is_refused_in_words() -> None:
    class Unknown(Generator):
        def decode(self, codes):
            return super().decode(torch.linalg.eigvals(codes.T @ codes).real[None].expand(codes.shape[0], -1))

    with pytest.raises(
        BadInputError, match=r"cannot be exported, as an operation of it has no counterpart in ONNX \(.+\)"
    ):
        decoder_graph(Unknown().eval())


def test_pixels_that_differ_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noisy(Generator):
        def decode(self, codes):
            return super().decode(codes + torch.randn_like(codes))

    with pytest.raises(BadInputError, match="pixels differ from PyTorch's by up to 0"):
        decoder_graph(Noisy().eval())
    plain = Generator().eval()
    decoder_graph(plain)
    monkeypatch.setattr(portable, "TOLERANCE", -1.0)
    with pytest.raises(BadInputError, match="pixels differ"):
        decoder_graph(plain)


def test_a_run_exports_once_for_each_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = genlab.Workspace(tmp_path / "lab")
    run = prepared(lab, epochs=1)
    with pytest.raises(BadInputError, match="no good checkpoint yet"):
        run.decoder()
    train(run)
    file = run.decoder()
    assert file.parent == run.directory / "artefacts" / "cache"
    written = file.stat().st_mtime_ns
    key = decoder_key(run)
    assert key in file.name
    assert run.decoder() == file
    assert file.stat().st_mtime_ns == written
    codes = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    np.testing.assert_allclose(decode_graph(file.read_bytes(), codes), run.decode(codes).array, atol=1e-4)
    said = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert said["run"] == run.id
    assert said["model"] == "vae"
    run.resume(epochs=2)
    train(run)
    assert decoder_key(run) != key
    assert run.decoder() != file


def test_shipped_runs_stay_as_they_are(tmp_path: Path) -> None:
    lab = genlab.Workspace(tmp_path / "lab")
    run = lab.runs["digits-gan"]
    before = sorted(run.directory.rglob("*"))
    file = run.decoder()
    assert lab.root in file.parents
    assert sorted(run.directory.rglob("*")) == before


def test_a_server_exports_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = genlab.Workspace(tmp_path / "lab").runs["digits-gan"]
    monkeypatch.setattr("genlab.workspace.export._export", lambda *_: pytest.fail("exported in the server"))
    with ThreadPoolExecutor(1) as pool:
        file = pool.submit(run.decoder).result()
        codes = np.random.default_rng(0).normal(size=(3, run.model().latent_dim)).astype(np.float32)
        np.testing.assert_allclose(
            decode_graph(file.read_bytes(), codes), run.decode(codes).array, atol=1e-4, err_msg="not the same decoder"
        )
        monkeypatch.setattr(
            "genlab.workspace.export.WRITE", "import sys; sys.stderr.write('This cannot be.'); sys.exit(2)"
        )
        file.unlink()
        with pytest.raises(BadInputError, match=r"^This cannot be\.$"):
            pool.submit(run.decoder).result()


def test_the_command_line_writes_a_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path / "lab"))
    target = tmp_path / "deep" / "model.onnx"
    assert root.run(["export", "digits-gan", str(target), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"run": "digits-gan", "file": str(target), "bytes": target.stat().st_size}
    inputs = onnx.load(target).graph.input
    assert [given.name for given in inputs] == ["codes"]
    assert root.run(["export", "digits-naive-bayes", str(tmp_path / "x.onnx")]) == 2
    assert "has no decoder to export" in capsys.readouterr().err
