"""The ladder: what it says of each rung is measured, and the row of real images is that of real images."""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import entropy, ttest_rel
from torch import nn

import genlab
from genlab.core.errors import BadInputError
from genlab.core.registry import find, models
from genlab.core.settings import TrainingSettings
from genlab.figures.images import Images
from genlab.figures.named import named_rows
from genlab.metrics.features import pca_features
from genlab.nn.classifier import SmallClassifier
from genlab.studies import Cell, Result, find_study, ladder, ladder_measures
from genlab.workspace.studies import StudyRun


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> genlab.Workspace:
    return genlab.Workspace(tmp_path_factory.mktemp("ladder"))


def test_every_rung_is_a_model_with_a_quick_preset_and_the_full_grid_has_three_seeds() -> None:
    quick, full = ladder.grid(True, 5000), ladder.grid(False, 5000)
    every = [*ladder.RUNGS, *ladder.EXAMPLES]
    assert list(dict.fromkeys(cell.place["rung"] for cell in quick)) == every
    assert [cell.place["rung"] for cell in full] == [rung for rung in every for _ in range(3)]
    alone = [cell.place["rung"] for cell in quick if cell.place["seed"] == 0]
    again = [cell.place["rung"] for cell in quick if cell.place["seed"] == 1]
    assert len(quick) == len(alone) + len(again)
    assert set(alone) - set(again) == {"DCGAN", "conditional DCGAN"}  # no claim compares these
    assert {cell.model for cell in quick} <= models().keys()
    assert {cell.preset for cell in full} == {"quick"}
    usual = models()["gan"].card.presets["quick"]["critic_learning_rate"]
    assert usual / ladder.SLOW_STEP == pytest.approx(100)  # as the findings say


def test_the_autoencoders_prior_covers_less_than_the_vaes(lab: genlab.Workspace) -> None:
    found = {}
    for name in ("digits-autoencoder", "digits-vae"):
        run = lab.runs[name]
        found[name] = numbers = ladder_measures.latent_space(run)
        images = run.images.tensor(run.images.splits["validation"][:500]).numpy()
        draws = np.random.default_rng(0)
        training = run.images.tensor(draws.permutation(run.images.splits["train"])[:1000]).numpy()
        of, own = pca_features(training).of, run.encode(images).mean.astype(np.float64)
        drawn = np.random.default_rng(0).standard_normal(own.shape)
        decoded = run.decode(drawn).array
        assert numbers["prior_frechet"] == pytest.approx(frechet(of(images), of(decoded)), rel=1e-5)
        assert numbers["codes_frechet"] == pytest.approx(frechet(of(images), of(run.decode(own).array)), rel=1e-5)
        assert numbers["code_deviation"] == pytest.approx(np.sqrt(np.var(own, axis=0)).mean())
        assert numbers["codes_frechet"] < numbers["prior_frechet"]
        cloud = np.square(np.random.default_rng(1).standard_normal((200_000, own.shape[1]))).sum(1)
        assert numbers["outside"] == pytest.approx((np.square(own).sum(1) > np.quantile(cloud, 0.99)).mean(), abs=0.01)
        known = run.encode(training).mean.astype(np.float64)
        near = np.quantile(cdist(own, known).min(1), 0.95)
        assert numbers["holes"] == pytest.approx((cdist(drawn, known).min(1) > near).mean())
        others = own[draws.permutation(len(own))]
        read = reader(lab, run.images)
        for kind, codes in (("prior", drawn), ("between", (own + others) / 2), ("codes", own)):
            sure = read(torch.from_numpy(run.decode(codes).array)).softmax(1).amax(1)
            assert numbers[f"unsure_{kind}"] == pytest.approx((sure < 0.9).double().mean().item(), abs=0.005)
        ratios = []
        for start, end in zip(own[:100], others[:100], strict=True):
            walk = run.decode(np.linspace(start, end, 21)).array.reshape(21, -1)
            steps = [np.sqrt(((b - a) ** 2).sum()) for a, b in itertools.pairwise(walk)]
            ratios.append(max(steps) / np.mean(steps))
        assert numbers["jump"] == pytest.approx(np.mean(ratios), rel=1e-4)
    ae, vae = found.values()
    assert ae["prior_coverage"] < 0.8 * vae["prior_coverage"]
    assert ae["prior_frechet"] > 2 * vae["prior_frechet"]
    assert ae["code_deviation"] > 2 > vae["code_deviation"]
    assert ae["outside"] > 0.9 > 0.1 > vae["outside"]
    assert min(ae["unsure_prior"], vae["unsure_prior"]) > 2 * max(ae["unsure_codes"], vae["unsure_codes"])


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """‖m − m'‖² + tr(C + C' − 2 (C C')^½), with a matrix root of another library."""
    first, second = np.cov(a.T), np.cov(b.T)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real))


def reader(lab: genlab.Workspace, images: Any) -> nn.Module:
    """The small classifier whose features the metrics use, as it was kept for them."""
    (kept,) = (lab.root / "features" / images.hash).glob("small-classifier-*.safetensors")
    network = SmallClassifier(images.shape.channels, len(images.class_names))
    network.load_state_dict(load_file(kept))
    return network.requires_grad_(False)


def test_a_rung_is_measured_and_the_last_row_is_that_of_real_images(lab: genlab.Workspace) -> None:
    run = lab.runs["digits-naive-bayes"]
    numbers = ladder.measure(run)
    fidelity = run.evaluate(["frechet", "coverage"])
    assert numbers["frechet"] == fidelity["frechet"].value
    assert numbers["frechet_of_data"] == fidelity["frechet"].baselines["real_images"] < numbers["frechet"]
    assert numbers["coverage_of_data"] == fidelity["coverage"].baselines["real_images"] > numbers["coverage"]
    assert (
        numbers["correlation"] < 0.5 * numbers["correlation_of_data"]
    )  # its pixels know of one another by the class alone
    images, read = run.images, reader(lab, run.images)
    drawn = run.sample(500, seed=run.config.settings["seed"]).array
    counts = np.bincount(read(torch.from_numpy(drawn)).argmax(1).numpy(), minlength=10)
    assert numbers["shares"] == pytest.approx(counts / 500)
    assert numbers["kinds"] == pytest.approx(np.exp(entropy(counts)))
    validation = images.splits["validation"]
    said = read(images.tensor(validation)).argmax(1).numpy()
    assert numbers["read_right"] == pytest.approx((said == images.labels[validation]).mean())
    assert numbers["read_right"] > 0.9
    result = Result(Cell({"rung": "naive Bayes", "seed": 0}, "naive_bayes"), run.id, numbers)
    report = ladder.conclude([result], lambda _: SimpleNamespace(can=lambda _: False))
    rows: dict[str, Any] = {row[0].text: row for row in report.tables[0].rows}
    assert rows["naive Bayes"][1].text == f"{numbers['frechet']:.3g}"
    assert rows["naive Bayes"][4].text == f"{numbers['kinds']:.3g}"
    assert rows["real images"][1].text == f"{numbers['frechet_of_data']:.3g}"
    assert rows["VAE"][1].text == "–"
    assert "not measured yet" in " ".join(report.findings)
    assert "most of what neighbours share comes from the class" in report.findings[0]


def test_within_a_class_pixels_of_naive_bayes_are_independent_and_those_of_images_are_not(
    lab: genlab.Workspace,
) -> None:
    run = lab.runs["digits-naive-bayes"]
    numbers = ladder.measure(run)
    labels = np.repeat(np.arange(10), 50)
    drawn = run.sample(500, labels=labels.tolist(), seed=3).array
    images = run.images.tensor(run.images.splits["validation"]).numpy()
    for pixels, known, name in (
        (drawn, labels, "correlation_within"),
        (images, np.asarray(run.images.labels)[run.images.splits["validation"]], "correlation_within_of_data"),
    ):
        residuals = np.concatenate([pixels[known == k] - pixels[known == k].mean(0) for k in range(10)])
        left, right = residuals[..., :-1].ravel(), residuals[..., 1:].ravel()
        assert numbers[name] == pytest.approx(np.corrcoef(left, right)[0, 1], abs=0.02)  # the means of all are near 0
    assert abs(numbers["correlation_within"]) < 0.03 < 0.5 < numbers["correlation_within_of_data"]
    assert ladder_measures.neighbour_correlation(images) == numbers["correlation_of_data"]


def test_both_gradients_weigh_the_logits_slopes_by_d_and_by_one_minus_d() -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()
    critic = nn.Sequential(nn.Linear(4, 6), nn.LeakyReLU(), nn.Linear(6, 1), nn.Flatten(0)).double()
    codes = torch.randn(7, 3, dtype=torch.float64)
    for bias in (0.0, -8.0):  # a discriminator that guesses, and one that is sure
        with torch.no_grad():
            critic[2].bias.fill_(bias)
        logits = critic(generator(codes))
        d = 1 / (1 + (-logits.detach()).exp())
        slopes = torch.stack(
            [
                torch.cat(
                    [g.flatten() for g in torch.autograd.grad(logit, list(generator.parameters()), retain_graph=True)]
                )
                for logit in logits
            ]
        )
        found = ladder_measures.generator_gradients(generator, critic, codes)
        assert found["d_fake"] == pytest.approx(d.mean().item())
        assert found["minimax"] == pytest.approx((d @ slopes / 7).norm().item())
        assert found["non_saturating"] == pytest.approx(((1 - d) @ slopes / 7).norm().item())
    assert found["minimax"] < 0.01 * found["non_saturating"]


def test_the_generator_rests_while_the_discriminator_runs_ahead(lab: genlab.Workspace) -> None:
    images = lab.datasets.resolve("digits-8")
    torch.manual_seed(0)
    game = find("gan").create(images.shape, 10, hidden=16, critic_hidden=16, latent_dim=4, critic_learning_rate=5e-3)
    before = {name: value.clone() for name, value in game.state_dict().items()}
    settings = TrainingSettings(epochs=1, batch_size=64, device="cpu")
    state = torch.get_rng_state()
    found = ladder_measures.gradients_ahead(game, images.batches(), settings, marks=(0, 3, 60))
    assert torch.equal(torch.get_rng_state(), state)
    assert found["steps"] == [0, 3, 60]
    weights = dict(game.named_parameters())
    assert all(torch.equal(value, before[name]) for name, value in weights.items() if name.startswith("generator"))
    assert not any(torch.equal(value, before[name]) for name, value in weights.items() if name.startswith("critic"))
    assert found["d_fake"][0] > 0.3 > 0.1 > found["d_fake"][2]
    assert found["minimax"][2] < 0.3 * found["minimax"][0]
    assert found["non_saturating"][2] > found["non_saturating"][0]
    game.load_state_dict(before)
    assert ladder_measures.gradients_ahead(game, images.batches(), settings, marks=(0, 3, 60)) == found


def test_named_rows_hold_the_images_under_one_another() -> None:
    rows = {"first": np.full((3, 1, 8, 8), 0.2), "a longer name": np.full((2, 3, 8, 8), 0.6)}
    sheet = Image.open(io.BytesIO(named_rows(rows, scale=2)))
    strips = [Images(images).grid(len(images), scale=2).convert("RGB") for images in rows.values()]
    left = sheet.width - strips[0].width
    assert sheet.height == 2 * 16 + 2
    for top, strip in zip((0, 18), strips, strict=True):
        seen = sheet.crop((left, top, left + strip.width, top + strip.height))
        assert seen.tobytes() == strip.tobytes()
    names = np.asarray(sheet.convert("L"))[:, :left]
    assert [(names[top : top + 16] < 128).any() for top in (0, 18)] == [True, True]
    assert (names[18:] < 128).sum() > (names[:16] < 128).sum()  # the longer name has more ink
    with pytest.raises(BadInputError, match="no rows"):
        named_rows({})


def results_of(numbers: dict[str, dict[str, list[Any]]]) -> list[Result]:
    """Results by rung and number, one value for each seed."""
    return [
        Result(Cell({"rung": rung, "seed": seed}, ""), "", {name: values[seed] for name, values in of.items()})
        for rung, of in numbers.items()
        for seed in range(len(next(iter(of.values()))))
    ]


def test_a_verdict_needs_seeds_that_agree() -> None:
    agreeing = results_of({"a": {"x": [0.1, 0.2, 0.3]}, "b": {"x": [0.5, 0.62, 0.7]}})
    found = ladder.gaps(agreeing, "a", "b", "x")
    assert found == pytest.approx([0.4, 0.42, 0.4])
    p = ttest_rel([0.5, 0.62, 0.7], [0.1, 0.2, 0.3]).pvalue
    assert ladder.judged(found) == f"a difference of +0.41 over 3 seeds, p = {p:.2g}"
    assert ladder.clear(found)
    assert not ladder.clear([0.5, 0.4])  # two seeds: t = 9 takes 12.7
    assert ladder.judged([0.5]) == "a difference of +0.5 with one seed, which cannot be judged"
    assert ladder.judged([]) == "no seed has both yet"
    assert ladder.gaps(agreeing[:4], "a", "b", "x") == pytest.approx([0.4])


def test_dependent_pixels_are_not_called_independent() -> None:
    def finding(within: float) -> str:
        numbers = {
            "correlation_within": [within] * 2,
            "correlation_within_of_data": [0.6] * 2,
            "correlation": [0.2] * 2,
        }
        return ladder.pixels(results_of({"naive Bayes": numbers}))

    assert finding(0.01).startswith(
        "Independent pixels: within a class, neighbouring pixels of naive Bayes samples correlate by 0.01 ± 0,"
    )
    assert finding(0.01).endswith(
        "most of what neighbours share comes from the class; samples are noise around its mean image."
    )
    assert finding(0.5).endswith("On this set the assumption costs little.")
    unlabelled = results_of({"naive Bayes": {"correlation": [0.1], "correlation_of_data": [0.7]}})
    assert ladder.pixels(unlabelled).startswith("Independent pixels: neighbouring pixels")


def test_walks_are_said_to_differ_only_where_they_do() -> None:
    def finding(ae: list[float], vae: list[float]) -> str:
        told = {"autoencoder": {"unsure_between": ae}, "VAE": {"unsure_between": vae}}
        return ladder.latent(results_of(told))[2]

    assert finding([0.7, 0.72], [0.4, 0.41]).endswith(
        "The autoencoder's walks cross more unclear images than the VAE's."
    )
    same = "The autoencoder's walks cross no more unclear images than the VAE's, as far as these seeds tell."
    assert finding([0.5, 0.51], [0.52, 0.48]).endswith(same)
    assert finding([0.4, 0.41], [0.7, 0.72]).endswith(same)
    assert "no seed has both yet" in ladder.latent([])[2]


def test_vanishing_gradients_and_what_they_cost_are_worded_by_what_was_measured() -> None:
    def findings(
        minimax: float, plain: tuple[list[float], list[float]], usual: tuple[list[float], list[float]]
    ) -> list[str]:
        curve = {"steps": [0, 9], "d_fake": [0.5, 0.01], "minimax": [0.1, minimax], "non_saturating": [0.1, 2.0]}
        found = {
            ladder.MINIMAX: {
                "ahead": [{"untrained": curve, "trained": curve}] * 2,
                "coverage": usual[0],
                "d_fake": [0.3] * 2,
            },
            ladder.HEURISTIC: {"coverage": usual[1], "d_fake": [0.3] * 2},
            ladder.PLAIN[0]: {"coverage": plain[0], "d_fake": [0.0] * 2},
            ladder.PLAIN[1]: {"coverage": plain[1], "d_fake": [0.2] * 2},
        }
        return ladder.vanishing(results_of(found))

    first, training, batch_norm = findings(1e-4, ([0.01, 0.02], [0.3, 0.32]), ([0.6, 0.7], [0.65, 0.64]))
    assert (
        "alone for 9 steps, and D(G(z)) goes from 0.5 to 0.01. The norm of the generator's gradient goes from 0.1 to 0.0001 "
        in first
    )
    assert first.endswith("the first vanishes, the second does not.")
    assert training.endswith("The vanishing gradient stalls the first.")
    assert batch_norm.endswith("That the losses differ is not borne out here.")
    first, training, batch_norm = findings(0.05, ([0.3, 0.02], [0.3, 0.32]), ([0.6, 0.61], [0.8, 0.81]))
    assert first.endswith("the first does not vanish within these steps.")
    assert training.endswith("That the first stalls is not borne out.")
    assert batch_norm.endswith("Here too the two losses differ.")
    assert [finding.split(": ")[-1] for finding in ladder.vanishing([])] == ["not measured yet."] * 3


def test_a_collapse_is_claimed_only_where_most_is_lost() -> None:
    def finding(coverage: list[float]) -> str:
        slow = {
            "coverage": coverage,
            "kinds": [2.0, 3.0],
            "kinds_of_data": [9.9] * 2,
            "d_real": [0.5] * 2,
            "d_fake": [0.5] * 2,
        }
        return ladder.collapse(
            results_of({ladder.HEURISTIC: {"coverage": [0.6, 0.7], "kinds": [8.0, 9.0]}, ladder.SLOW: slow})
        )

    assert finding([0.1, 0.15]).startswith(
        "Mode collapse: with a discriminator that learns in steps a hundredth of the usual size, samples cover 0.12"
    )
    assert "2.5 ± 0.71 classes in effect, against 8.5 ± 0.71 and 9.9 of held-out images" in finding([0.1, 0.15])
    assert finding([0.1, 0.15]).endswith(
        "D(x) = 0.50 ± 0 and D(G(z)) = 0.50 ± 0 look like the optimum: the losses do not tell."
    )
    for kept in ([0.5, 0.55], [0.0, 0.5]):  # a little is lost; much is lost by one seed alone
        assert finding(kept).startswith("Mode collapse did not appear: ")
    assert ladder.collapse([]) == "Mode collapse: not measured yet."


def test_the_whole_study_on_small_images(lab: genlab.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rung and example for one or two epochs, two seeds of what is compared; every picture and chart is drawn."""
    monkeypatch.setattr("genlab.workspace.workspace.Runs.start_now", lambda self, run, executor=None: tiny.train(run))
    monkeypatch.setattr(ladder_measures, "AHEAD", (0, 2, 5))
    small = {
        "gan": {"epochs": 2, "batch_size": 256, "hidden": 16, "critic_hidden": 16, "latent_dim": 4},
        "dcgan": {"epochs": 1, "batch_size": 256, "width": 4, "latent_dim": 4},
        "cdcgan": {"epochs": 1, "batch_size": 256, "width": 4, "latent_dim": 4},
        "autoencoder": {"epochs": 2, "batch_size": 256, "hidden": 32},
        "vae": {"epochs": 2, "batch_size": 256, "hidden": 32},
        "gmm": {"components": 3},
    }
    known = find_study("ladder")
    cells = [
        cell._replace(values={**cell.values, **small.get(cell.model, {}), "device": "cpu"})
        for cell in known.grid(True, 600)
    ]
    cells = [
        cell for cell in cells if cell.place["seed"] == 0 or cell.model in ("gan", "autoencoder", "vae", "naive_bayes")
    ]
    study = StudyRun(lab, dataclasses.replace(known, data="digits-8", grid=lambda quick, images: cells), quick=True)
    report = study.run()
    results = {(r.cell.place["rung"], r.cell.place["seed"]): r for r in study.results()}
    assert len(results) == len(cells)
    assert not any("not measured yet" in finding or "nan" in finding for finding in report.findings)
    names = [table.title for table in report.tables]
    assert names == ["The ladder", "Latent spaces", "GANs that fail, and GANs that do not"]
    assert [row[0].text for row in report.tables[0].rows] == [*ladder.RUNGS, "real images"]
    coverage = [results[ladder.SLOW, seed].numbers["coverage"] for seed in (0, 1)]
    row = next(row for row in report.tables[2].rows if row[0].text == ladder.SLOW)
    assert row[1].text == f"{np.mean(coverage):.3g} ± {np.std(coverage, ddof=1):.2g}"
    assert row[1].runs == tuple(results[ladder.SLOW, seed].run for seed in (0, 1))
    assert [picture.title for picture in report.pictures] == [
        "Samples side by side", "Independent pixels", "Codes drawn from N(0, I), decoded", "From one image to another",
        "The plane decoded where N(0, I) is: autoencoder, d = 2", "The plane decoded where its codes are: autoencoder, d = 2",
        "The plane decoded where N(0, I) is: VAE, d = 2", "The plane decoded where its codes are: VAE, d = 2",
        "Vanishing gradients", "Mode collapse",
    ]  # fmt: skip
    sampling = [rung for rung in ladder.RUNGS if rung != "autoencoder"]
    assert all(f", {rung}" in report.pictures[0].caption for rung in sampling)
    assert report.pictures[0].caption.endswith("Nothing says how to draw from: autoencoder.")
    sheet = np.asarray(Image.open(io.BytesIO(report.pictures[0].png)).convert("L"))
    side = Images(np.zeros((20, 1, 8, 8))).grid(20)
    for place, rung in enumerate(sampling, 1):  # each row is the first samples of its run
        top = place * (side.height + 2)
        drawn = lab.runs[results[rung, 0].run].sample(20, seed=0).grid(20)
        assert (sheet[top : top + side.height, -side.width :] == np.asarray(drawn)).all()
    for cloud, rung in zip(report.clouds, ladder.PLANES, strict=True):
        run = lab.runs[results[rung, 0].run]
        np.testing.assert_allclose(
            cloud.points, run.encode(run.images.tensor(run.images.splits["validation"])).mean, atol=1e-6
        )
    charts = {chart.title: chart for chart in report.charts}
    up = charts["Up the ladder: coverage"]
    assert list(up.lines[0].x) == [place for place, rung in enumerate(ladder.RUNGS, 1) if rung != "autoencoder"]
    assert up.lines[0].y[0] == results["multinomial", 0].numbers["coverage"]
    ahead = charts["The generator's gradient as the discriminator runs ahead"].lines
    curves = [results[ladder.MINIMAX, seed].numbers["ahead"]["trained"]["non_saturating"] for seed in (0, 1)]
    line = next(line for line in ahead if line.name == "−log D, trained")
    assert line.x == (0, 2, 5)
    assert line.y == pytest.approx(np.log10(curves).mean(0))
    shares = charts["Classes that samples are of"].lines
    assert [line.name for line in shares] == ["held-out images", ladder.HEURISTIC, ladder.SLOW]
    assert all(math.isclose(sum(line.y), 1) for line in shares)
    page = (study.folder / "report.html").read_text()
    assert page.count("<img ") == len(report.pictures)
    assert page.count("<svg") == len(report.charts) + len(report.clouds)
