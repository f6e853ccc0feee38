"""The triplet sampler and the triplet loss against reference files, other libraries and slow loops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from genlab.core.errors import BadInputError, UnknownNameError
from genlab.core.parameters import describe, validate
from genlab.latent import TRIPLET_PRESETS, TripletSettings, sample_triplet_codes
from genlab.nn import triplet_loss

LOSS_CASES = ("classes4x3", "triplets8", "all_easy", "collapsed", "hard_only", "no_positive_pair", "big")
AMBIGUOUS = ("collapsed", "all_easy")  # distances tie exactly, so several gradients are right


def codes_of(count: int = 5, dim: int = 7, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = {name: rng.normal(size=(count, dim)) for name in ("mean", "log_var")}
    return {**codes, "global_mean": rng.normal(size=dim)}


# The sampler -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("case", ["thesis", "code", "half", "allto", "allaway"])
def test_codes_equal_the_reference_to_the_bit(case: str, kind: object, shared: Path) -> None:
    golden = np.load(shared / "golden" / "golden_triplets.npz")
    read = {key: kind(golden[key]) for key in ("z_mean", "z_log_var", "u_pos", "u_neg")}
    r_pos, r_neg, p_pos, p_neg = golden[f"{case}_params"]
    positive, negative = sample_triplet_codes(
        read["z_mean"], read["z_log_var"], kind(golden["data_z_mean"]).mean(0),
        positive_radius=r_pos, negative_radius=r_neg, positive_toward_mean=p_pos, negative_toward_mean=p_neg,
        positive_draws=read["u_pos"], negative_draws=read["u_neg"],
    )  # fmt: skip
    assert type(positive) is type(negative) is type(read["z_mean"])
    assert np.array_equal(np.asarray(positive), golden[f"{case}_pos"])
    assert np.array_equal(np.asarray(negative), golden[f"{case}_neg"])


def slow_side(
    anchor: np.ndarray, log_var: np.ndarray, middle: np.ndarray, radius: float, p: float, u: np.ndarray
) -> np.ndarray:
    """Algorithm 3's inner loop for one side of the triplet."""
    out = np.empty_like(anchor)
    for n in range(anchor.shape[0]):
        for d in range(anchor.shape[1]):
            down = anchor[n, d] > middle[d]
            if u[n, d] > p:
                down = not down
            length = radius * abs(log_var[n, d])
            out[n, d] = anchor[n, d] - length if down else anchor[n, d] + length
    return out


def test_codes_equal_algorithm_3_as_a_loop() -> None:
    codes, rng = codes_of(), np.random.default_rng(1)
    codes["mean"][0] = codes["global_mean"]  # a tie counts as below
    u, v = rng.random((2, 5, 7))
    u[1, 0] = 0.95  # a tie counts as towards
    positive, negative = sample_triplet_codes(
        **codes, **TripletSettings().model_dump(), positive_draws=u, negative_draws=v
    )
    assert np.array_equal(positive, slow_side(codes["mean"], codes["log_var"], codes["global_mean"], 0.15, 0.95, u))
    assert np.array_equal(negative, slow_side(codes["mean"], codes["log_var"], codes["global_mean"], 0.30, 0.85, v))
    assert not np.array_equal(positive, codes["mean"])


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("stochastic", ["off", "per_draw", "per_dimension"])
def test_the_compiled_kernel_for_large_batches_equals_the_blocks_to_the_bit(
    kind: type, stochastic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = {name: values.astype(kind) for name, values in codes_of(40, 30).items()}
    codes["mean"][0] = codes["global_mean"]  # a tie counts as below
    u, v = np.random.default_rng(1).random((2, 40, 30)).astype(kind)
    u[1, 0] = kind(0.95)  # a tie counts as towards
    settings = TripletSettings(stochastic_radius=stochastic, step="sigma" if stochastic == "off" else "log_var")

    def sampled(large: int) -> tuple[np.ndarray, np.ndarray]:
        monkeypatch.setattr("genlab.latent.triplets.LARGE", large)
        return sample_triplet_codes(
            **codes, **settings.model_dump(), positive_draws=u, negative_draws=v, generator=np.random.default_rng(2)
        )

    for compiled, blocks in zip(sampled(0), sampled(10**9), strict=True):
        assert compiled.dtype == blocks.dtype == kind
        assert np.array_equal(compiled, blocks)
        assert not np.array_equal(compiled, codes["mean"])


def test_a_negative_zero_ties_with_zero_and_blocks_leave_no_seam() -> None:
    positive, _ = sample_triplet_codes(np.zeros((1, 1)), np.ones((1, 1)), -np.zeros(1), positive_toward_mean=1)
    assert positive.item() == 0.15
    codes = codes_of(700, 50)
    u, v = np.random.default_rng(1).random((2, 700, 50))
    whole, _ = sample_triplet_codes(**codes, positive_draws=u, negative_draws=v)
    assert np.array_equal(whole, slow_side(codes["mean"], codes["log_var"], codes["global_mean"], 0.15, 0.95, u))


def test_a_step_is_the_log_variance_or_sigma() -> None:
    mean, log_var = np.zeros((1, 3)), np.array([[-2.0, 0.0, 1.0]])
    for step, length in (("log_var", [2.0, 0.0, 1.0]), ("sigma", np.exp([-1.0, 0.0, 0.5]))):
        settings = TripletSettings(step=step, positive_toward_mean=1)
        positive, _ = sample_triplet_codes(mean, log_var, np.ones(3), **settings.model_dump())
        np.testing.assert_allclose(positive[0], 0.15 * np.asarray(length), rtol=1e-15)


def test_shares_of_directions_are_the_probabilities_and_distances_the_radii() -> None:
    mean, log_var, middle = torch.ones(500, 200), torch.full((500, 200), -2.0), torch.zeros(200)
    settings = TripletSettings()
    generator = torch.Generator().manual_seed(0)
    positive, negative = sample_triplet_codes(mean, log_var, middle, **settings.model_dump(), generator=generator)
    nearer, lower = positive < mean, negative < mean
    assert nearer.double().mean().item() == pytest.approx(0.95, abs=0.003)
    assert lower.double().mean().item() == pytest.approx(0.85, abs=0.004)
    assert (nearer == lower).double().mean().item() == pytest.approx(settings.agreement, abs=0.004)
    assert settings.agreement == pytest.approx(0.815)
    torch.testing.assert_close((negative - mean).abs(), torch.full_like(mean, 0.6))
    torch.testing.assert_close((positive - mean).abs(), torch.full_like(mean, 0.3))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_same_seed_same_triplets(kind: str) -> None:
    codes = codes_of()
    if kind == "torch":
        codes = {name: torch.from_numpy(value) for name, value in codes.items()}

    def draw(seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed) if kind == "numpy" else torch.Generator().manual_seed(seed)
        settings = TripletSettings(positive_toward_mean=0.5, stochastic_radius="per_dimension")
        return np.asarray(sample_triplet_codes(**codes, **settings.model_dump(), generator=generator)[0])

    assert np.array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))


@pytest.mark.parametrize("scope", ["per_draw", "per_dimension"])
def test_a_stochastic_radius_varies_as_it_says_and_keeps_the_positive_nearer(scope: str) -> None:
    mean, log_var, middle = torch.zeros(400, 50), torch.ones(400, 50), torch.ones(50)
    settings = TripletSettings(stochastic_radius=scope, radius_spread=0.4)
    generator = torch.Generator().manual_seed(0)
    positive, negative = sample_triplet_codes(mean, log_var, middle, **settings.model_dump(), generator=generator)
    factor = positive.abs() / 0.15
    torch.testing.assert_close(factor, negative.abs() / 0.30)  # one factor for both, so the positive stays nearer
    assert factor.min() >= 0.6 - 1e-6
    assert factor.max() <= 1.4 + 1e-6
    assert factor.mean().item() == pytest.approx(1, abs=0.04)
    assert factor.var().item() == pytest.approx(0.8**2 / 12, rel=0.1)
    alike = torch.allclose(factor, factor[:, :1])
    assert alike == (scope == "per_draw")


def test_what_does_not_fit_is_refused_with_a_sentence() -> None:
    codes = codes_of()
    with pytest.raises(BadInputError, match=r"global_mean has the shape \(5, 7\), and it must be \(7,\)"):
        sample_triplet_codes(codes["mean"], codes["log_var"], codes["mean"])
    with pytest.raises(BadInputError, match=r"log_var has the shape \(7,\)"):
        sample_triplet_codes(codes["mean"], codes["log_var"][0], codes["global_mean"])
    with pytest.raises(BadInputError, match=r"positive_draws has the shape \(2,\)"):
        sample_triplet_codes(**codes, positive_draws=np.zeros(2))
    with pytest.raises(BadInputError, match=r"The positive must lie nearer .* lower the positive radius or raise"):
        validate(TripletSettings, {"positive_radius": 0.3}, of="triplets")
    with pytest.raises(BadInputError, match="from 0 to 1"):
        validate(TripletSettings, {"positive_toward_mean": 1.5}, of="triplets")


def test_presets_are_the_text_and_the_code_of_the_thesis() -> None:
    def told(name: str) -> tuple[float, ...]:
        return tuple(TRIPLET_PRESETS[name].model_dump().values())[:4]

    assert told("thesis") == (0.15, 0.30, 0.95, 0.85)
    assert told("code") == (0.10, 0.30, 0.95, 0.90)
    for info in describe(TripletSettings).values():
        assert info.description.endswith(".")
        assert info.choices or None not in (info.minimum, info.maximum)


def test_settings_and_arrays_need_no_torch() -> None:
    code = """
import sys, numpy as np
from genlab.latent import TripletSettings, sample_triplet_codes
sample_triplet_codes(np.zeros((2, 3)), np.ones((2, 3)), np.ones(3), **TripletSettings().model_dump())
print("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# The loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("squared", [False, True], ids=["L2", "sqL2"])
@pytest.mark.parametrize(("mining", "told"), [("semi_hard", "tfa"), ("batch_all", "all")])
@pytest.mark.parametrize("case", LOSS_CASES)
def test_loss_and_gradient_equal_the_reference(case: str, mining: str, told: str, squared: bool, shared: Path) -> None:
    golden = np.load(shared / "golden" / "golden_semihard.npz")
    embeddings = torch.from_numpy(golden[f"{case}_emb"]).requires_grad_()
    key = f"{case}_{'sqL2' if squared else 'L2'}_{told}"
    loss = triplet_loss(embeddings, torch.from_numpy(golden[f"{case}_labels"]), mining=mining, squared=squared)
    expected = float(golden[f"{key}_loss"])
    assert loss.item() == pytest.approx(0.0 if np.isnan(expected) else expected, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, embeddings)
    assert torch.isfinite(gradient).all()
    if f"{key}_grad" in golden.files and case not in AMBIGUOUS:
        np.testing.assert_allclose(gradient.numpy(), golden[f"{key}_grad"], atol=1e-6)
    if case == "no_positive_pair":
        assert not gradient.any()


@pytest.mark.parametrize("squared", [False, True])
def test_semi_hard_loss_equals_a_loop_over_pairs(squared: bool) -> None:
    torch.manual_seed(0)
    points, labels = torch.randn(14, 3, dtype=torch.float64), torch.randint(0, 4, (14,))
    d = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist") ** (2 if squared else 1)
    losses, fallbacks = [], 0
    for a in range(14):
        for p in range(14):
            if a == p or labels[a] != labels[p]:
                continue
            others = [d[a, n].item() for n in range(14) if labels[n] != labels[a]]
            farther = [other for other in others if other > d[a, p]]
            fallbacks += not farther
            losses.append(max(0.0, d[a, p].item() - (min(farther) if farther else max(others)) + 0.6))
    assert fallbacks > 0
    assert triplet_loss(points, labels, squared=squared).item() == pytest.approx(np.mean(losses), rel=1e-9)


def test_of_semi_hard_triplets_alone_the_loss_equals_a_loop() -> None:
    """Pairs whose negatives are all nearer than the positive, or all beyond the margin, say nothing."""
    torch.manual_seed(0)
    points, labels = torch.randn(14, 3, dtype=torch.float64, requires_grad=True), torch.randint(0, 4, (14,))
    losses, dropped = [], 0
    for a in range(14):
        for p in range(14):
            if a == p or labels[a] != labels[p]:
                continue
            near = (points[a] - points[p]).norm()
            others = [(points[a] - points[n]).norm() for n in range(14) if labels[n] != labels[a]]
            semi_hard = [other for other in others if near < other < near + 0.6]
            dropped += not semi_hard
            losses += [near - min(semi_hard) + 0.6] if semi_hard else []
    expected = torch.stack(losses).mean()
    loss = triplet_loss(points, labels, semi_hard_only=True)
    assert dropped > 5
    assert len(losses) > 5
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    assert 0 < loss.item() < 0.6
    for found, wanted in zip(torch.autograd.grad(loss, points), torch.autograd.grad(expected, points), strict=True):
        torch.testing.assert_close(found, wanted)
    nothing = triplet_loss(torch.full((8, 5), 0.3, requires_grad=True), torch.arange(8) // 2, semi_hard_only=True)
    assert nothing.item() == 0


def test_batch_all_equals_pytorch_metric_learning() -> None:
    from pytorch_metric_learning import distances, losses, miners

    torch.manual_seed(0)
    points = F.normalize(torch.randn(30, 6), dim=1)
    labels = torch.randint(0, 6, (30,))
    distance = distances.LpDistance(normalize_embeddings=False)
    mined = miners.TripletMarginMiner(margin=0.6, type_of_triplets="semihard", distance=distance)(points, labels)
    theirs = losses.TripletMarginLoss(margin=0.6, distance=distance)(points, labels, mined)
    assert len(mined[0]) > 50
    assert triplet_loss(points, labels, mining="batch_all").item() == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize("mining", ["semi_hard", "batch_all"])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [1, 1, 1, 1]], ids=["no positive pair", "no negative"])
def test_nothing_to_learn_from_is_zero_and_not_nan(labels: list[int], mining: str) -> None:
    points = torch.randn(4, 2, requires_grad=True)
    loss = triplet_loss(points, torch.tensor(labels), mining=mining)
    (gradient,) = torch.autograd.grad(loss, points)
    assert loss.item() == 0
    assert torch.equal(gradient, torch.zeros(4, 2))


def test_coinciding_embeddings_have_finite_gradients() -> None:
    points = torch.full((8, 5), 0.3, requires_grad=True)
    loss = triplet_loss(points, torch.arange(8) // 2)
    assert loss.item() == pytest.approx(0.6, abs=1e-3)
    assert torch.isfinite(torch.autograd.grad(loss, points)[0]).all()


def test_embeddings_and_labels_must_fit() -> None:
    with pytest.raises(BadInputError, match=r"not \(4, 2\) and \(3,\)"):
        triplet_loss(torch.zeros(4, 2), torch.zeros(3))
    with pytest.raises(UnknownNameError, match="semi_hard"):
        triplet_loss(torch.zeros(4, 2), torch.zeros(4), mining="semihard")  # type: ignore[arg-type]
