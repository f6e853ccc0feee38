"""VAE-GAN: gradients against the objectives written out, the pseudo-code's layers, and the options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.registry import find
from genlab.core.seeding import seed_everything
from genlab.nn.likelihoods import corrupt
from genlab.training.players import Minimiser


def tiny(**values: Any) -> Any:
    seed_everything(0)
    return genlab.create("vae_gan", (1, 8, 8), **{"critic_hidden": 5, "latent_dim": 3, "batch_norm": False, **values})


def images(seed: int = 0) -> Tensor:
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def parts(model: Any) -> dict[str, list[nn.Parameter]]:
    critic = [*model.features.parameters(), *model.verdict.parameters()]
    return {
        "encoder": list(model.encoder.parameters()),
        "decoder": list(model.decoder.parameters()),
        "discriminator": critic,
    }


def written(model: Any, x: Tensor) -> dict[str, Tensor]:
    """The three objectives with probabilities, logarithms and a loop over images; draws noise as the model does."""
    p = model.p
    out = model.encoder(corrupt(x, p.corruption, p.corruption_amount))
    mu, log_var = out[:, :3], out[:, 3:]
    decoded = torch.sigmoid(model.decoder(mu + log_var.exp().sqrt() * torch.randn_like(mu)))
    if p.reconstruction == "features":
        distances = [0.5 * (a - b).norm() ** 2 for a, b in zip(model.features(x), model.features(decoded), strict=True)]
    else:
        distances = [F.binary_cross_entropy(b, a, reduction="sum") for a, b in zip(x, decoded, strict=True)]
    reconstruction = sum(distances) / len(x)
    kl = sum(0.5 * (m**2 + v.exp() - 1 - v).sum() for m, v in zip(mu, log_var, strict=True)) / len(x)
    d_real, d_fake = (torch.sigmoid(model.verdict(model.features(images))) for images in (x, decoded))
    return {
        "encoder": reconstruction + p.beta * kl,
        "decoder": reconstruction - p.adversarial_weight * d_fake.log().mean(),
        "discriminator": -d_real.log().mean() - (1 - d_fake).log().mean(),
    }


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"adversarial_weight": 7.0, "beta": 0.5},
        {"reconstruction": "features"},
        {"corruption": "masking"},
        {"batch_norm": True, "normalise_codes": True},
        {"architecture": "conv", "width": 4},
    ],
    ids=str,
)
def test_each_player_follows_the_gradient_of_its_own_objective(values: dict[str, Any]) -> None:
    model = tiny(**values).double()
    seed_everything(4)
    objectives = written(model, images())
    own = parts(model)
    expected = {name: torch.autograd.grad(loss, own[name], retain_graph=True) for name, loss in objectives.items()}
    minimise = Minimiser({name: torch.optim.SGD(weights, lr=0.0) for name, weights in own.items()})
    seed_everything(4)
    logged = model.training_step(Batch(images(), None), Step(0, 0, 1), minimise)
    for name, loss in minimise.take_losses().items():
        assert loss.item() == pytest.approx(objectives[name].item(), rel=1e-9)
        for weight, gradient in zip(own[name], expected[name], strict=True):
            torch.testing.assert_close(weight.grad, gradient, rtol=1e-8, atol=1e-11)
    fooling = objectives["decoder"] - logged["reconstruction"]
    assert logged["loss"].item() == pytest.approx((objectives["encoder"] + fooling).item(), rel=1e-9)


def test_encoder_and_decoder_move_in_every_third_step_and_the_discriminator_in_all() -> None:
    model = tiny(critic_steps=3)
    moves: list[set[str]] = []
    names = {tuple(sorted(model.training_step(Batch(images(step).float(), None), Step(step, 0, 6), lambda **losses: moves.append(set(losses))))) for step in range(6)}  # fmt: skip
    assert moves == 2 * [{"discriminator"}, {"discriminator"}, {"encoder", "decoder", "discriminator"}]
    assert len(names) == 1
    assert {"loss", "loss_encoder", "loss_decoder", "loss_discriminator"} <= set(names.pop())


@pytest.mark.parametrize("player", ["encoder", "decoder", "discriminator"])
def test_no_player_s_loss_moves_another_s_parameters(player: str) -> None:
    model = tiny()
    before = {name: [w.detach().clone() for w in weights] for name, weights in parts(model).items()}
    minimise = Minimiser(model.players())
    model.training_step(
        Batch(images().float(), None), Step(0, 0, 1), lambda **losses: minimise(**{player: losses[player]})
    )
    for name, weights in parts(model).items():
        moved = any(not torch.equal(w, old) for w, old in zip(weights, before[name], strict=True))
        assert moved == (name == player), name


def linear_sizes(network: nn.Module) -> list[tuple[int, int]]:
    return [(x.in_features, x.out_features) for x in network.modules() if isinstance(x, nn.Linear)]


def test_the_layers_are_those_of_the_pseudo_code() -> None:
    model = genlab.create("vae_gan", (1, 28, 28), latent_dim=20, **find("vae_gan").preset("paper")[0])
    d = 20
    assert linear_sizes(model.encoder) == [(784, d * d), (d * d, 2 * d)]
    assert linear_sizes(model.decoder) == [(d, d * d), (d * d, 784)]
    assert linear_sizes(nn.Sequential(model.features, model.verdict)) == [(784, 256), (256, 1)]
    norms = [layer.num_features for layer in model.encoder.modules() if isinstance(layer, nn.BatchNorm1d)]
    assert norms == [d * d, 2 * d]
    assert [layer.num_features for layer in model.decoder.modules() if isinstance(layer, nn.BatchNorm1d)] == [d * d]


def test_hidden_layers_are_d_squared_up_to_the_limit() -> None:
    assert linear_sizes(tiny(latent_dim=9).encoder)[0] == (64, 81)
    assert linear_sizes(tiny(latent_dim=500, hidden_limit=100).encoder)[0] == (64, 100)
    unlimited = 2 * (500**2 * 784) + 3 * 500 * 500**2  # 784-d²-2d and d-d²-784 at d = 500
    assert unlimited == 767_000_000
    assert "767 million" in " ".join(find("vae_gan").card.departures)


def test_normalised_codes_depend_on_the_batch_and_others_do_not() -> None:
    x = images().float()
    for normalise in (False, True):
        model = tiny(normalise_codes=normalise).train()
        together, apart = model.encode(x).mean[:2], model.encode(x[:2]).mean
        assert torch.allclose(together, apart, atol=1e-5) != normalise


def test_without_adversary_and_corruption_it_is_the_vae() -> None:
    model = tiny(adversarial_weight=0.0)
    seed_everything(1)
    losses, logged = model.objectives(images().float())
    torch.testing.assert_close(losses["decoder"].detach(), logged["reconstruction"])
    torch.testing.assert_close(losses["encoder"].detach(), logged["reconstruction"] + logged["kl"])
    seed_everything(1)
    bound = model.bound_terms(images().float())
    torch.testing.assert_close(bound["reconstruction"].mean(), losses["decoder"])
    torch.testing.assert_close(bound["reconstruction"].mean() + bound["kl"].mean(), losses["encoder"])


def test_the_target_of_denoising_is_clean() -> None:
    seen: list[Tensor] = []
    model = tiny(corruption="masking", corruption_amount=0.5)
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    x = torch.full((64, 1, 8, 8), 0.8)
    model.objectives(x)
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (x == 0.8).all()


@pytest.mark.parametrize("reconstruction", ["pixels", "features"])
def test_reconstruction_improves_with_training(reconstruction: str) -> None:
    from sklearn.datasets import load_digits

    x = torch.tensor(load_digits().images[:128] / 16, dtype=torch.float32)[:, None]
    seed_everything(0)
    model = genlab.create("vae_gan", (1, 8, 8), latent_dim=6, critic_hidden=32, reconstruction=reconstruction, beta=0.1)
    minimise = Minimiser(model.players())

    def error() -> float:
        model.eval()
        with torch.no_grad():
            return (model.decode(model.encode(x).mean) - x).square().mean().item()

    before = error()
    model.train()
    for index in range(300):
        model.training_step(Batch(x, None), Step(index, 0, 300), minimise)
    assert error() < 0.5 * before


def test_it_trains_in_mixed_precision() -> None:
    model = tiny(batch_norm=True)
    minimise = Minimiser(model.players())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for index in range(2):
            logged = model.training_step(Batch(images(index).float(), None), Step(index, 0, 2), minimise)
    assert all(torch.isfinite(value) for value in {**logged, **minimise.take_losses()}.values())


def test_dropout_acts_on_encoder_and_decoder_in_training_alone() -> None:
    torch.manual_seed(0)
    model = genlab.create("vae_gan", (1, 8, 8), latent_dim=4, dropout=0.5, batch_norm=False)
    images = torch.rand(6, 1, 8, 8)
    codes = torch.randn(6, 4)
    for network, given in ((model.encoder, images), (model.decoder, codes)):
        assert not torch.equal(network.train()(given), network(given))
        assert torch.equal(network.eval()(given), network(given))
