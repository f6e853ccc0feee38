"""VQ-VAE: the quantiser by loops and against another library, its averages by hand, the prior's causality by autograd."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.metrics import Subject, evaluate
from genlab.nn.causal import CausalPrior, gumbel_like
from genlab.nn.quantiser import Quantised, Quantiser, perplexity
from genlab.training.players import Minimiser


def build(shape: tuple[int, int, int] = (1, 8, 8), **values: Any) -> Model:
    torch.manual_seed(0)
    small = {"halvings": 2, "codes": 6, "code_dim": 3, "width": 4, "hidden": 8, "blocks": 1, **values}
    return genlab.create("vq_vae", shape, **small).double()


def some_images(count: int = 5, shape: tuple[int, int, int] = (1, 8, 8)) -> Tensor:
    return torch.rand(count, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def some_maps(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


# --- quantiser -------------------------------------------------------------------------------------------------


def test_every_place_becomes_the_code_nearest_by_a_loop() -> None:
    torch.manual_seed(0)
    quantiser, maps = Quantiser(7, 3).double(), some_maps(2, 3, 4, 5)
    found = quantiser(maps)
    assert found.maps.shape == maps.shape
    assert len(found.indices.unique()) > 3
    for n in range(2):
        for place in range(20):
            vector = maps[n, :, place // 5, place % 5]
            distances = [sum((a - b) ** 2 for a, b in zip(vector.tolist(), code.tolist(), strict=True)) for code in quantiser.codebook]  # fmt: skip
            best = distances.index(min(distances))
            assert found.indices[n, place] == best
            assert found.distances[n, place].item() == pytest.approx(distances[best], rel=1e-10)
            chosen = quantiser.codebook[best].tolist()
            assert found.maps[n, :, place // 5, place % 5].tolist() == pytest.approx(chosen, rel=1e-12)


def test_indices_equal_those_of_vector_quantize_pytorch() -> None:
    library = pytest.importorskip("vector_quantize_pytorch")
    theirs = library.VectorQuantize(dim=8, codebook_size=40, accept_image_fmap=True).eval()
    ours, maps = Quantiser(40, 8), torch.randn(6, 8, 7, 7, generator=torch.Generator().manual_seed(3))
    ours.codebook.copy_(theirs.codebook)
    ours.codebook.mul_(3)
    theirs.codebook = ours.codebook.clone()
    rebuilt, indices, _ = theirs(maps)
    found = ours(maps)
    assert torch.equal(found.indices, indices.flatten(1))
    torch.testing.assert_close(found.maps, rebuilt)
    assert len(indices.unique()) > 20


def test_the_gradient_passes_straight_through_and_the_commitment_pulls_to_the_code() -> None:
    quantiser, maps = Quantiser(5, 3).double(), some_maps(2, 3, 2, 2).requires_grad_()
    found = quantiser(maps)
    weight = some_maps(2, 3, 2, 2) + 1
    (straight,) = torch.autograd.grad((found.maps * weight).sum(), maps, retain_graph=True)
    torch.testing.assert_close(straight, weight)
    (pull,) = torch.autograd.grad(found.distances.sum(), maps)
    torch.testing.assert_close(pull, 2 * (maps - found.maps).detach())
    assert not any(True for _ in quantiser.parameters())  # the codebook moves by averages alone


def test_the_averages_equal_those_kept_by_hand() -> None:
    quantiser = Quantiser(3, 2, decay=0.8, revival=0).double()
    start = quantiser.codebook.clone()
    counts, sums = [0.0] * 3, [[0.0, 0.0] for _ in range(3)]
    for turn in range(4):
        vectors = some_maps(5, 2) * 0.1 + turn
        indices = torch.tensor([0, 0, 1, 0, 1])  # nobody takes the third code
        quantiser.update(Quantised(vectors, indices, torch.zeros(5), vectors))
        for k in range(3):
            mine = [vector.tolist() for vector, index in zip(vectors, indices.tolist(), strict=True) if index == k]
            counts[k] = 0.8 * counts[k] + 0.2 * len(mine)
            for j in range(2):
                sums[k][j] = 0.8 * sums[k][j] + 0.2 * sum(vector[j] for vector in mine)
    for k in range(2):
        assert quantiser.counts[k].item() == pytest.approx(counts[k], rel=1e-12)
        assert quantiser.codebook[k].tolist() == pytest.approx([total / counts[k] for total in sums[k]], rel=1e-12)
    assert torch.equal(quantiser.codebook[2], start[2])


def used_after(revival: float, turns: int = 60) -> float:
    """Perplexity of 128 codes that start far from vectors that lie close together, after some batches."""
    torch.manual_seed(0)
    quantiser = Quantiser(128, 8, decay=0.9, revival=revival)
    vectors = 0.1 * torch.randn(16, 8, 8, 8)
    for _ in range(turns):
        quantiser.update(quantiser(vectors))
    return perplexity(quantiser(vectors).indices, 128).item()


def test_revival_cures_a_codebook_that_is_hardly_used() -> None:
    assert used_after(revival=0) < 15
    assert used_after(revival=0.1) > 80


def test_dead_codes_move_to_vectors_that_are_badly_served() -> None:
    torch.manual_seed(0)
    quantiser = Quantiser(3, 1, decay=0.5, revival=0.3)
    quantiser.codebook.copy_(torch.tensor([[0.0], [50.0], [-50.0]]))
    vectors = torch.cat([torch.zeros(98), torch.tensor([9.0, -9.0])])[None, None, :, None]
    assert quantiser.update(quantiser(vectors)) == 2
    assert sorted(quantiser.codebook.flatten().tolist()) == [-9, 0, 9]


def test_perplexity_counts_codes_in_even_use() -> None:
    assert perplexity(torch.arange(6), 10).item() == pytest.approx(6)
    assert perplexity(torch.zeros(6, dtype=torch.long), 10).item() == 1
    uneven = perplexity(torch.tensor([0, 0, 0, 1]), 10).item()
    assert uneven == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))


# --- prior -----------------------------------------------------------------------------------------------------


def some_prior(sizes: tuple[int, ...] = (2, 4), codes: int = 3) -> CausalPrior:
    torch.manual_seed(0)
    prior = CausalPrior(sizes, codes, hidden=8).double()
    with torch.no_grad():
        for weight in prior.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return prior


def test_the_priors_probabilities_of_all_grids_sum_to_one() -> None:
    prior = some_prior((2, 3))
    grids = torch.cartesian_prod(*[torch.arange(3)] * 5)
    probabilities = (-prior.negative_log_likelihood(grids)).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-6)
    assert probabilities.max() > 3 * probabilities.min()  # and it is not uniform


def test_a_logit_depends_on_earlier_codes_alone_by_autograd() -> None:
    prior, places = some_prior(), 6
    indices = torch.tensor([[2, 0, 1, 1, 2, 0]])
    seen: dict[str, Tensor] = {}

    def keep(_: Any, __: Any, embedded: Tensor) -> Tensor:
        seen["embedded"] = embedded.detach().requires_grad_()
        return seen["embedded"]

    handle = prior.embedding.register_forward_hook(keep)
    logits = prior(indices)
    handle.remove()
    for place in range(places):
        (slope,) = torch.autograd.grad(logits[0, place].square().sum(), seen["embedded"], retain_graph=True)
        reached = slope[0].abs().sum(1) > 0  # row i holds code i − 1, row 0 the beginning
        assert reached.tolist() == [row <= place for row in range(places)]


def test_changing_a_code_changes_what_follows_and_nothing_before() -> None:
    prior = some_prior()
    first = torch.tensor([[2, 0, 1, 1, 2, 0]])
    for place in range(6):
        other = first.clone()
        other[0, place] = (other[0, place] + 1) % 3
        same = (prior(first) == prior(other)).all(2)[0]
        assert same.tolist() == [row <= place for row in range(6)]


def test_drawing_with_kept_keys_equals_drawing_from_the_whole_network() -> None:
    prior = some_prior()
    drawn = prior.sample(5, temperature=0.7, generator=torch.Generator().manual_seed(4))
    generator, slow = torch.Generator().manual_seed(4), torch.zeros(5, 6, dtype=torch.long)
    for place in range(6):
        logits = prior(slow)[:, place]
        slow[:, place] = (logits + 0.7 * gumbel_like(logits, generator)).argmax(1)
    assert torch.equal(drawn, slow)
    assert len(drawn.unique(dim=0)) > 1
    cold = prior.sample(5, temperature=0)
    assert len(cold.unique(dim=0)) == 1


def test_draws_are_as_frequent_as_their_probability() -> None:
    prior = some_prior((2,), codes=2)
    grids = torch.cartesian_prod(torch.arange(2), torch.arange(2))
    probabilities = (-prior.negative_log_likelihood(grids)).exp()
    drawn = prior.sample(20_000, generator=torch.Generator().manual_seed(0))
    frequencies = (drawn[:, None] == grids).all(2).double().mean(0)
    error = (probabilities * (1 - probabilities) / 20_000).sqrt()
    assert ((frequencies - probabilities).abs() < 4 * error).all()


# --- model -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("levels", [1, 2])
def test_the_losses_equal_their_equations_by_hand(levels: int, likelihood: str) -> None:
    shape = (2, 12, 12)
    model, images = build(shape, levels=levels, likelihood=likelihood, sigma=0.3, beta=0.7), some_images(3, shape)
    caught: dict[str, Tensor] = {}
    logged = model.train().training_step(Batch(images, None), Step(0, 0, 1), lambda **losses: caught.update(losses))
    model = build(shape, levels=levels, likelihood=likelihood, sigma=0.3, beta=0.7)  # before its codes moved
    grids = model.quantise(images)
    assert [grid.maps.shape[2:] for grid in grids] == [(1, 1), (3, 3)][2 - levels :]
    rebuilt = model.decode(model.encode(images).mean)
    if likelihood == "bernoulli":
        by_hand = F.binary_cross_entropy(rebuilt, images, reduction="sum") / 3
    else:
        by_hand = -torch.distributions.Normal(rebuilt, 0.3).log_prob(images).sum() / 3
    commitment = sum((grid.distances.sum() / 3).item() for grid in grids)
    assert logged["reconstruction"].item() == pytest.approx(by_hand.item(), rel=1e-9)
    assert caught["autoencoder"].item() == pytest.approx(by_hand.item() + 0.7 * commitment, rel=1e-9)
    indices = torch.cat([grid.indices for grid in grids], 1)
    log_p = model.prior(indices).log_softmax(2).gather(2, indices[..., None]).sum().item() / 3
    assert caught["prior"].item() == pytest.approx(-log_p, rel=1e-5)
    held_out = model.eval().validation_step(Batch(images, None))
    assert held_out["loss"].item() == pytest.approx(by_hand.item() + 0.7 * commitment - log_p, rel=1e-6)
    assert "perplexity_top" in held_out if levels == 2 else "perplexity_top" not in held_out


@pytest.mark.parametrize("levels", [1, 2])
def test_the_bound_lies_below_the_likelihood_summed_over_all_grids(levels: int) -> None:
    model = build((1, 4, 4), halvings=1, levels=levels, codes=2).eval()
    images = some_images(4, (1, 4, 4))
    places = 4 if levels == 1 else 5
    grids = torch.cartesian_prod(*[torch.arange(2)] * places)
    terms = model.bound_terms(images)
    decoded = model.decode(model.entries(grids))
    for i, image in enumerate(images):
        log_x = -F.binary_cross_entropy(decoded, image.expand_as(decoded), reduction="none").flatten(1).sum(1)
        joint = log_x - model.prior.negative_log_likelihood(grids)
        elbo = -(terms["reconstruction"][i] + terms["kl"][i])
        assert elbo < joint.logsumexp(0)
        chosen = torch.cat([grid.indices for grid in model.quantise(images[i : i + 1])], 1)
        row = (grids == chosen).all(1).nonzero().item()
        assert elbo.item() == pytest.approx(joint[row].item(), rel=1e-6)


@pytest.mark.parametrize("levels", [1, 2])
def test_decoding_quantises_so_that_any_code_is_a_grid_of_entries(levels: int) -> None:
    shape = (1, 20, 13)
    model = build(shape, levels=levels).eval()
    codes = model.encode(some_images(4, shape)).mean
    assert codes.shape == (4, model.latent_dim)
    rebuilt = model.decode(codes)
    assert rebuilt.shape == (4, *shape)
    assert torch.equal(model.decode(codes + 1e-9), rebuilt)
    straight = torch.sigmoid(model.logits([grid.maps for grid in model.quantise(some_images(4, shape))]))
    torch.testing.assert_close(rebuilt, straight)
    halfway = model.decode((codes[:1] + codes[1:2]) / 2)
    assert torch.isfinite(halfway).all()
    drawn = model.sample_prior(3, generator=torch.Generator().manual_seed(0)).view(3, -1, 3)
    entries = torch.cat([quantiser.codebook for quantiser in model.quantisers])
    assert ((drawn[:, :, None] - entries).abs().sum(3).amin(2) == 0).all()


def test_the_prior_passes_nothing_back_to_the_autoencoder() -> None:
    model, images = build(), some_images()
    model.terms(images, model.quantise(images))["kl"].sum().backward()
    assert all((weight.grad is not None) == name.startswith("prior.") for name, weight in model.named_parameters())


def test_the_coarse_grid_reaches_the_fine_one() -> None:
    model, images = build((1, 8, 8), levels=2), some_images()
    before = model.quantise(images)[1]
    model.quantisers[0].codebook.mul_(5)
    assert not torch.equal(model.quantise(images)[1].vectors, before.vectors)


def test_training_fills_the_codebook_and_rebuilds_better() -> None:
    torch.manual_seed(0)
    model = genlab.create("vq_vae", (1, 8, 8), halvings=2, codes=16, width=8, hidden=16).train()
    rows = torch.randint(0, 8, (64, 2), generator=torch.Generator().manual_seed(0))
    images = torch.zeros(64, 1, 8, 8)
    images[torch.arange(64), 0, rows[:, 0]] = 1
    images[torch.arange(64), 0, :, rows[:, 1]] = 1
    minimise, logged = Minimiser(model.players()), []
    for index in range(300):
        logged.append(model.training_step(Batch(images, None), Step(index, 0, 1), minimise))
    assert logged[-1]["reconstruction"] < 0.3 * logged[0]["reconstruction"]
    assert logged[-1]["perplexity"] > 4


def test_images_too_small_are_refused_in_words() -> None:
    with pytest.raises(BadInputError, match="takes images of at least 16x16 pixels"):
        genlab.create("vq_vae", (1, 8, 8), halvings=3, levels=2)


def test_weighing_codes_is_refused_with_the_reason_as_none_are_drawn() -> None:
    model, images = build().float().eval(), some_images().float()
    with torch.no_grad():
        first, second = (model.bound_terms(images, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in ("reconstruction", "kl"))
    subject = Subject(model, images.numpy(), training=images.numpy())
    expected = -(first["reconstruction"] + first["kl"]).mean().item()
    assert evaluate(subject, ["elbo"])["elbo"].value == pytest.approx(expected, rel=1e-5)
    for name in ("iwae", "nll", "iwae_bits", "nll_bits"):
        with pytest.raises(BadInputError, match="would give the evidence lower bound again; choose elbo"):
            evaluate(subject, [name])
