"""β-VAE, conditional, hierarchical and introspective VAEs: every term recomputed by loops, distributions or by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence
from torch.nn import functional as F

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import capabilities
from genlab.core.errors import BadInputError
from genlab.core.registry import find
from genlab.nn.importance import iwae_bound
from genlab.nn.likelihoods import corrupt
from genlab.training.players import Minimiser

SHAPE = (1, 8, 8)


def build(name: str, shape: tuple[int, int, int] = SHAPE, classes: int = 0, **values: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden": 12, "latent_dim": 3} if name != "hierarchical_vae" else {"width": 4}
    return genlab.create(name, shape, classes, **{**sizes, **values}).double()


def some_images(count: int = 5, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.rand(count, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def stirred(model: Any, amount: float = 0.1) -> Any:
    """The model with weights away from where they start, so that every term matters."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(amount * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
    return model


def negative_log_likelihood(logits: Tensor, images: Tensor) -> Tensor:
    """The cross-entropy of each image, pixel by pixel through probabilities."""
    p = torch.sigmoid(logits)
    return -(images * p.log() + (1 - images) * (1 - p).log()).flatten(1).sum(1)


# --- beta-VAE --------------------------------------------------------------------------------------------------


def test_the_beta_vae_is_a_vae_with_four_times_the_kl() -> None:
    plain, heavy = build("vae"), build("beta_vae")
    assert find("beta_vae").parameters["beta"].default == 4
    assert find("vae").parameters["beta"].default == 1
    assert {name: p.default for name, p in find("beta_vae").parameters.items() if name != "beta"} == {
        name: p.default for name, p in find("vae").parameters.items() if name != "beta"
    }
    heavy.load_state_dict(plain.state_dict())
    caught: dict[str, Tensor] = {}
    torch.manual_seed(3)
    logged = heavy.training_step(Batch(some_images(), None), Step(0, 0, 1), lambda **losses: caught.update(losses))
    assert caught["vae"].item() == pytest.approx((logged["reconstruction"] + 4 * logged["kl"]).item(), rel=1e-12)
    assert genlab.create("beta_vae", SHAPE, beta=7.0).p.beta == 7


# --- conditional VAE -------------------------------------------------------------------------------------------


def conditional(**values: Any) -> Any:
    return stirred(build("conditional_vae", classes=3, label_dim=2, **values))


def of_class(model: Any, image: Tensor, label: int) -> tuple[Normal, Any]:
    """q(z|x, y) of one image, and z -> p(x|z, y), from the layers themselves."""
    e = model.embedding.weight[label]
    mean, log_var = model.head(torch.cat([model.features(image[None])[0], e])[None])[0].chunk(2)
    return Normal(mean, (0.5 * log_var).exp()), lambda z: Bernoulli(logits=model.decoder(torch.cat([z, e])[None])[0])


def log_p(likelihood: Bernoulli, image: Tensor) -> Tensor:
    p = likelihood.probs
    return (image * p.log() + (1 - image) * (1 - p).log()).sum()


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_the_conditional_objective_is_the_bound_given_the_label(architecture: str) -> None:
    model, images, labels = (
        conditional(architecture=architecture, width=4, beta=0.7),
        some_images(),
        torch.arange(5) % 3,
    )
    torch.manual_seed(4)
    terms = model.validation_step(Batch(images, labels))
    torch.manual_seed(4)
    noise = torch.randn(5, 3, dtype=torch.float64)
    reconstruction, kl = 0.0, 0.0
    for image, label, drawn in zip(images, labels.tolist(), noise, strict=True):
        q, p = of_class(model, image, label)
        reconstruction -= log_p(p(q.mean + q.stddev * drawn), image).item() / 5
        kl += kl_divergence(q, Normal(0.0, 1.0)).sum().item() / 5
    assert terms["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-9)
    assert terms["kl"].item() == pytest.approx(kl, rel=1e-9)
    assert terms["loss"].item() == pytest.approx(reconstruction + 0.7 * kl, rel=1e-9)


def test_a_conditional_encoder_sees_noisy_copies_in_training_alone() -> None:
    model, images, labels = (
        conditional(corruption="salt_and_pepper", corruption_amount=0.4),
        some_images(),
        torch.arange(5) % 3,
    )
    torch.manual_seed(6)
    logged = model.training_step(Batch(images, labels), Step(0, 0, 1), lambda **losses: None)
    torch.manual_seed(6)
    seen, noise = corrupt(images, "salt_and_pepper", 0.4), torch.randn(5, 3, dtype=torch.float64)
    assert 0.3 < (seen != images).double().mean() < 0.5
    reconstruction = 0.0
    for image, noisy, label, drawn in zip(images, seen, labels.tolist(), noise, strict=True):
        q, p = of_class(model, noisy, label)[0], of_class(model, image, label)[1]
        reconstruction -= log_p(p(q.mean + q.stddev * drawn), image).item() / 5
    assert logged["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-9)
    torch.manual_seed(6)
    held_out = model.validation_step(Batch(images, labels))["kl"].item()
    clean = sum(
        kl_divergence(of_class(model, x, y)[0], Normal(0.0, 1.0)).sum().item()
        for x, y in zip(images, labels.tolist(), strict=True)
    )
    assert held_out == pytest.approx(clean / 5, rel=1e-9)


@pytest.mark.parametrize("name", ["conditional_vae", "soft_intro_vae"])
@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_batch_norm_and_dropout_stand_in_encoder_and_decoder(name: str, architecture: str) -> None:
    values = {"architecture": architecture, "width": 4, "batch_norm": True, "dropout": 0.5}
    shape = (1, 16, 16)  # smaller ones have a single convolution
    model, plain = build(name, shape, 3, **values), build(name, shape, 3, architecture=architecture, width=4)
    own = ["features", "head", "decoder"] if name == "conditional_vae" else ["encoder", "decoder"]
    for part in own:
        kinds = {type(layer).__name__.rstrip("12d") for layer in getattr(model, part).modules()}
        assert {"BatchNorm", "Dropout"} <= kinds, part
    assert not any("Norm" in type(layer).__name__ or "Dropout" in type(layer).__name__ for layer in plain.modules())
    images = some_images(5, shape)
    model.train()
    assert not torch.equal(model.encode(images).mean, model.encode(images).mean)
    model.eval()
    assert torch.equal(model.encode(images).mean, model.encode(images).mean)


def class_bounds(model: Any, image: Tensor) -> list[float]:
    found = []
    for label in range(3):
        q, p = of_class(model, image, label)
        found.append((log_p(p(q.mean), image) - kl_divergence(q, Normal(0.0, 1.0)).sum()).item())
    return found


def test_it_classifies_by_the_bound_of_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = conditional(), some_images(4)
    scores = torch.tensor([class_bounds(model, image) for image in images], dtype=torch.float64)
    torch.testing.assert_close(model.classify(images), scores.log_softmax(1), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(model.log_joint(images), scores - math.log(3), rtol=1e-9, atol=1e-9)
    monkeypatch.setattr("genlab.nn.density.BLOCK", 2 * 3 * 64)  # two images at a time
    torch.testing.assert_close(model.log_joint(images), scores - math.log(3), rtol=1e-9, atol=1e-9)


def test_a_conditional_code_is_the_best_class_and_its_mean() -> None:
    model, images = conditional(), some_images(12)
    codes = model.encode(images)
    assert codes.log_var is None
    assert "encodes_normal" not in capabilities(type(model))
    best = [max(range(3), key=class_bounds(model, image).__getitem__) for image in images]
    assert len(set(best)) > 1
    for code, image, label in zip(codes.mean, images, best, strict=True):
        q, p = of_class(model, image, label)
        torch.testing.assert_close(code, torch.cat([q.mean, model.embedding.weight[label]]))
        torch.testing.assert_close(model.decode(code[None])[0], p(q.mean).probs)


def test_the_bound_without_a_label_sums_over_labels() -> None:
    """Its mean over draws is E_q(y|x)[ELBO(x|y)] − KL(q(y|x) ‖ 1/K)."""
    model, images = conditional(), some_images(2)
    with torch.no_grad():
        q_label = Categorical(logits=model.classify(images))
        uniform = Categorical(logits=torch.zeros(3, dtype=torch.float64))
        expected_kl = kl_divergence(q_label, uniform)
        assert (expected_kl > 0.01).any()
        for i, probabilities in enumerate(q_label.probs):
            for label in range(3):
                q, _ = of_class(model, images[i], label)
                expected_kl[i] += probabilities[label] * kl_divergence(q, Normal(0.0, 1.0)).sum()
        generator = torch.Generator().manual_seed(0)
        terms = [model.bound_terms(images, generator) for _ in range(3000)]
        kl, rebuilt = (torch.stack([term[key] for term in terms]) for key in ("kl", "reconstruction"))
        assert ((kl.mean(0) - expected_kl).abs() < 5 * kl.std(0) / math.sqrt(3000) + 1e-9).all()
        expected = torch.zeros(2, dtype=torch.float64)
        for i, label in itertools.product(range(2), range(3)):
            q, p = of_class(model, images[i], label)
            torch.manual_seed(1)
            drawn = torch.stack([log_p(p(q.sample()), images[i]) for _ in range(1000)]).mean()
            expected[i] -= q_label.probs[i, label] * drawn
        assert ((rebuilt.mean(0) - expected).abs() < 8 * rebuilt.std(0) / math.sqrt(1000)).all()


def test_conditional_weights_are_unbiased_for_the_marginal() -> None:
    """Their mean estimates p(x) = 1/K Σ_y p(x|y), which brute force over a grid of codes gives."""
    model, images = conditional(latent_dim=1), some_images(3)
    with torch.no_grad():
        grid = torch.linspace(-9, 9, 4001, dtype=torch.float64)
        exact = []
        for image in images:
            by_class = []
            for label in range(3):
                codes = torch.cat([grid[:, None], model.embedding.weight[label].expand(len(grid), -1)], dim=1)
                log_image = -negative_log_likelihood(model.decoder(codes), image.expand(len(grid), -1, -1, -1))
                by_class.append((Normal(0.0, 1.0).log_prob(grid) + log_image).logsumexp(0) + math.log(18 / 4000))
            exact.append(torch.stack(by_class).logsumexp(0) - math.log(3))
        found = iwae_bound(model, images, 20_000, torch.Generator().manual_seed(2))
        torch.testing.assert_close(found, torch.stack(exact), rtol=0, atol=0.05)
        bounds = [-sum(model.bound_terms(images).values()) for _ in range(300)]
        assert (torch.stack(bounds).mean(0) < torch.stack(exact)).all()


def test_chosen_labels_are_drawn_and_without_labels_there_is_one() -> None:
    model = conditional()
    labels = torch.tensor([2, 0, 2])
    noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    expected = model.decode(torch.cat([0.5 * noise, model.embedding(labels)], dim=1))
    drawn = model.sample_labels(labels, temperature=0.5, generator=torch.Generator().manual_seed(6))
    torch.testing.assert_close(drawn, expected)
    prior = model.sample_prior(600, generator=torch.Generator().manual_seed(0))
    used = torch.cdist(prior[:, 3:], model.embedding.weight).argmin(1)
    assert torch.bincount(used, minlength=3).min() > 150
    torch.testing.assert_close(prior[:, 3:], model.embedding(used))
    alone = build("conditional_vae", classes=0, label_dim=2)
    terms = alone.bound_terms(some_images(), torch.Generator().manual_seed(0))
    posterior = alone.posterior(alone.features(some_images()), torch.zeros(5, dtype=torch.long))
    torch.testing.assert_close(terms["kl"], posterior.kl().sum(1))  # no label, no cost of one


# --- hierarchical VAE ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_hierarchical_bound_equals_its_distributions(levels: int) -> None:
    """The way down written out with z_l and torch's normals for prior and posterior, not with standardised codes."""
    model, images = stirred(build("hierarchical_vae", (1, 16, 16), levels=levels)), some_images(3, (1, 16, 16))
    terms = model.bound_terms(images, torch.Generator().manual_seed(9))
    generator, up = torch.Generator().manual_seed(9), []
    h = images
    for level in reversed(model.levels):
        h = level.up(h)
        up.insert(0, h)
    h, kl = model.start.expand(3, -1, -1, -1), []
    for place, level in enumerate(model.levels):
        if place < levels:
            mean, raw = level.prior(h).chunk(2, 1)
            p = Normal(mean, (4 * torch.tanh(raw / 8)).exp())
            mean, raw = level.posterior(torch.cat([h, up[place]], 1)).chunk(2, 1)
            q = Normal(p.mean + p.stddev * mean, p.stddev * (4 * torch.tanh(raw / 8)).exp())
            z = q.mean + q.stddev * torch.randn(mean.shape, generator=generator, dtype=torch.float64)
            kl.append(kl_divergence(q, p).flatten(1).sum(1))
            h = h + level.merge(z)
        h = level.down(h)
    torch.testing.assert_close(terms["reconstruction"], negative_log_likelihood(h, images))
    torch.testing.assert_close(terms["kl"], sum(kl))
    assert set(terms) == {"reconstruction", "kl", *(f"kl_{place}" for place in range(1, levels + 1))}
    for place, each in enumerate(kl, start=1):
        torch.testing.assert_close(terms[f"kl_{place}"], each)
        assert (each > 0.01).all()


def test_the_hierarchical_kl_is_the_monte_carlo_kl() -> None:
    model, images = (
        stirred(build("hierarchical_vae", levels=2, coarse_channels=3)),
        some_images(1).repeat(4000, 1, 1, 1),
    )
    with torch.no_grad():
        inferred = model.infer(model.features(images), lambda q: q.sample(torch.Generator().manual_seed(0)))
        q = Normal(inferred.posterior.mean, (0.5 * inferred.posterior.log_var).exp())
        # levels of one pass share a generator's seed but not its noise: maps differ in size
        ratio = (q.log_prob(inferred.codes) - Normal(0.0, 1.0).log_prob(inferred.codes)).sum(1)
        kl = model.bound_terms(images, torch.Generator().manual_seed(1))["kl"]
    error = (ratio.std() ** 2 / 4000 + kl.std() ** 2 / 4000).sqrt()
    assert abs(ratio.mean() - kl.mean()) < 5 * error
    assert kl.mean() > 20 * error


def test_hierarchical_codes_decode_to_what_the_way_down_gives() -> None:
    model, images = stirred(build("hierarchical_vae", (2, 8, 12), latent_channels=2)), some_images(3, (2, 8, 12))
    assert model.latent_dim == 16 * 1 + 2 * (2 * 3)
    drawn = model.infer(model.features(images), lambda q: q.sample(torch.Generator().manual_seed(3)))
    torch.testing.assert_close(model.decode(drawn.codes), torch.sigmoid(drawn.logits))
    means = model.infer(model.features(images), lambda q: q.mean)
    posterior = model.encode(images)
    torch.testing.assert_close(posterior.mean, means.codes)
    torch.testing.assert_close(posterior.log_var, means.posterior.log_var)
    torch.testing.assert_close(model.decode(posterior.mean), torch.sigmoid(means.logits))
    coarse = posterior.mean.clone()
    coarse[:, -1] += 1  # the finest code moves the image, and no code above it
    assert not torch.allclose(model.decode(coarse), model.decode(posterior.mean))


def test_a_residual_cell_normalises_each_image_and_starts_as_nothing() -> None:
    model = build("hierarchical_vae")
    cell, h = model.levels[-1].up[1], torch.randn(3, 4, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(cell(h), h)
    stirred(cell)
    first_norm, first, second_norm, second = cell.change

    def swished(norm: Any, h: Tensor) -> Tensor:
        centred = torch.stack([(image - image.mean()) / (image.var(correction=0) + norm.eps).sqrt() for image in h])
        scaled = norm.weight.view(-1, 1, 1) * centred + norm.bias.view(-1, 1, 1)
        return scaled * torch.sigmoid(scaled)

    by_hand = h + second(swished(second_norm, first(swished(first_norm, h))))
    torch.testing.assert_close(cell(h), by_hand)
    assert not torch.allclose(by_hand, h)


def test_hierarchical_weights_are_those_of_one_draw() -> None:
    model, images = stirred(build("hierarchical_vae", levels=2)), some_images(3)
    found = model.log_weights(images, 4, torch.Generator().manual_seed(8))
    assert found.shape == (4, 3)
    generator = torch.Generator().manual_seed(8)
    features = [part.repeat(4, 1, 1, 1) for part in model.features(images)]
    drawn = model.infer(features, lambda q: q.sample(generator))
    log_q = Normal(drawn.posterior.mean, (0.5 * drawn.posterior.log_var).exp()).log_prob(drawn.codes).sum(1)
    log_prior = Normal(0.0, 1.0).log_prob(drawn.codes).sum(1)
    by_hand = log_prior - log_q - negative_log_likelihood(drawn.logits, images.repeat(4, 1, 1, 1))
    torch.testing.assert_close(found.flatten(), by_hand)
    with torch.no_grad():
        few, many = (
            model.log_weights(images, 3000).view(-1, k, 3).logsumexp(1).sub(math.log(k)).mean(0) for k in (1, 50)
        )
        bounds = torch.stack(
            [-(lambda t: t["reconstruction"] + t["kl"])(model.bound_terms(images)) for _ in range(500)]
        )
    assert (many > few).all()
    assert ((bounds.mean(0) - few).abs() < 6 * (bounds.std(0) / math.sqrt(500) + 0.02)).all()


def test_kl_warm_up_weighs_the_kl_and_too_many_levels_are_refused() -> None:
    model = build("hierarchical_vae", kl_warmup=2, beta=3)
    for index, weight in ((0, 0.0), (5, 0.75), (20, 3.0), (90, 3.0)):
        caught: dict[str, Tensor] = {}
        torch.manual_seed(0)
        logged = model.training_step(
            Batch(some_images(), None),
            Step(index, index // 10, 10),
            lambda **losses: caught.update(losses),  # noqa: B023
        )
        expected = (logged["reconstruction"] + weight * logged["kl"]).item()
        assert caught["vae"].item() == pytest.approx(expected, rel=1e-12)
    free = build("hierarchical_vae", free_bits=30.0)
    caught.clear()
    logged = free.training_step(Batch(some_images(), None), Step(0, 0, 1), lambda **losses: caught.update(losses))
    assert logged["kl_1"] < 30
    assert logged["kl_2"] > 1e-4
    expected = (logged["reconstruction"] + 30 + logged["kl_2"]).item()
    assert caught["vae"].item() == pytest.approx(expected, rel=1e-12)
    frugal = stirred(build("hierarchical_vae", free_bits=0.01))
    logged = frugal.training_step(Batch(some_images(), None), Step(0, 0, 1), lambda **losses: caught.update(losses))
    assert logged["kl_1"] > 0.02
    assert caught["vae"].item() == pytest.approx((logged["reconstruction"] + logged["kl"]).item(), rel=1e-12)
    with pytest.raises(BadInputError, match="takes at most 3 levels for images of 8x8"):
        genlab.create("hierarchical_vae", SHAPE, levels=4)


# --- Soft-IntroVAE ---------------------------------------------------------------------------------------------


def written(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses image by image, with noise in the order in which the model draws it."""
    p, s, n = model.p, 1 / images[0].numel(), len(images)
    noise = torch.randn(n, 3, dtype=torch.float64)
    mean, log_var = model.encoder(corrupt(images, p.corruption, p.corruption_amount)).chunk(2, 1)
    z = mean + (log_var / 2).exp() * torch.randn(n, 3, dtype=torch.float64)

    def kl(mean: Tensor, log_var: Tensor) -> Tensor:
        return kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(1)

    made_up = torch.sigmoid(model.decoder(noise))
    sealed = made_up.detach()
    fake_mean, fake_log_var = model.encoder(sealed).chunk(2, 1)
    fake_z = fake_mean + (fake_log_var / 2).exp() * torch.randn(n, 3, dtype=torch.float64)
    encoder, decoder = torch.zeros(()), torch.zeros(())
    rebuilt, rebuilt_fake = model.decoder(z), model.decoder(fake_z)
    sealed_rebuilt = model.decoder(z.detach())
    of_real, of_fake = kl(mean, log_var), kl(fake_mean, fake_log_var)
    of_answer = kl(*model.encoder(made_up).chunk(2, 1))
    for i in range(n):
        r = F.binary_cross_entropy_with_logits(rebuilt[i], images[i], reduction="sum")
        r_fake = F.binary_cross_entropy_with_logits(rebuilt_fake[i], sealed[i], reduction="sum")
        rejected = (-2 * s * (r_fake + p.beta_neg * of_fake[i])).exp()
        encoder = encoder + (s * (r + p.beta * of_real[i]) + 0.5 * rejected) / n
        r = F.binary_cross_entropy_with_logits(sealed_rebuilt[i], images[i], reduction="sum")
        decoder = decoder + s * (r + p.beta * of_answer[i]) / n
    return encoder, decoder


@pytest.mark.parametrize("values", [
    {}, {"beta": 0.5, "beta_neg": 2.0}, {"architecture": "conv", "width": 4}, {"corruption": "masking"}, {"batch_norm": True},
], ids=str)  # fmt: skip
def test_both_introspective_players_follow_their_own_gradient(values: dict[str, Any]) -> None:
    model, images = stirred(build("soft_intro_vae", **values)), some_images()
    parts = {"encoder": list(model.encoder.parameters()), "decoder": list(model.decoder.parameters())}
    torch.manual_seed(2)
    encoder, decoder = written(model, images)
    expected = {
        "encoder": torch.autograd.grad(encoder, parts["encoder"], retain_graph=True),
        "decoder": torch.autograd.grad(decoder, parts["decoder"]),
    }
    minimise = Minimiser({name: torch.optim.SGD(weights, lr=0.0) for name, weights in parts.items()})
    torch.manual_seed(2)
    model.training_step(Batch(images, None), Step(0, 0, 1), minimise)
    losses = minimise.take_losses()
    assert losses["encoder"].item() == pytest.approx(encoder.item(), rel=1e-9)
    assert losses["decoder"].item() == pytest.approx(decoder.item(), rel=1e-9)
    for name, gradients in expected.items():
        for weight, gradient in zip(parts[name], gradients, strict=True):
            torch.testing.assert_close(weight.grad, gradient, rtol=1e-7, atol=1e-12)
        assert any(gradient.abs().max() > 1e-4 for gradient in gradients)


def test_the_players_pull_the_kl_of_made_up_images_both_ways() -> None:
    for player, sign in (("encoder", 1), ("decoder", -1)):
        model = build("soft_intro_vae", beta=1.0, beta_neg=1.0)
        noise = torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

        def fake_kl(model: Any = model, noise: Tensor = noise) -> float:
            return model.encode(model.decode(noise)).kl().sum(1).mean().item()

        before = fake_kl()
        optimiser = torch.optim.SGD(getattr(model, player).parameters(), lr=0.5)
        for _ in range(20):
            if player == "encoder":  # only its opinion of made-up images
                terms = model.bound_terms(model.decode(noise).detach())
                loss = 0.5 * torch.exp(-2 / 64 * (terms["reconstruction"] + terms["kl"])).mean()
            else:
                loss = model.encode(model.decode(noise)).kl().sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert sign * (fake_kl() - before) > 0


def test_the_warm_up_is_a_plain_vae() -> None:
    model, images = build("soft_intro_vae", warmup=2.0), some_images()
    caught: list[dict[str, Tensor]] = []
    logged = model.training_step(Batch(images, None), Step(19, 1, 10), lambda **losses: caught.append(losses))
    (losses,) = caught
    assert losses["encoder"] is losses["decoder"]
    expected = (logged["reconstruction"] + logged["kl"]).item() / 64
    assert losses["encoder"].item() == pytest.approx(expected, rel=1e-9)
    model.training_step(Batch(images, None), Step(20, 2, 10), lambda **losses: caught.append(losses))
    assert [set(losses) for losses in caught] == [{"encoder", "decoder"}, {"encoder"}, {"decoder"}]
