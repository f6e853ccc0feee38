"""AVA: each player's gradient against its objective written out, and what follows from the equations."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import genlab
from genlab.core.batch import Batch, Step
from genlab.core.capabilities import capabilities
from genlab.core.errors import BadInputError
from genlab.core.registry import find
from genlab.core.seeding import seed_everything
from genlab.training.players import Minimiser

VARIANTS = ["ava1", "ava2", "ava3", "ava4", "ava5"]
PLAYERS = {
    "ava1": {"encoder", "decoder", "discriminator"},
    "ava2": {"encoder", "decoder", "discriminator"},
    "ava3": {"encoder", "decoder", "encoding_discriminator"},
    "ava4": {"encoder", "decoder", "encoding_discriminator"},
    "ava5": {"encoder", "decoder", "discriminator", "encoding_discriminator"},
}


def tiny(name: str, **values: Any) -> Any:
    seed_everything(0)
    return genlab.create(name, (1, 8, 8), hidden=6, critic_hidden=5, latent_dim=3, **values)


def images(seed: int = 0) -> Tensor:
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


class Written:
    """Equations (1)-(15) for a batch, image by image, with logarithms of probabilities and fresh forward passes."""

    def __init__(self, model: Any, x: Tensor, r: Tensor) -> None:
        self.model, self.x, self.r = model, x, r

    def code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model.encoder(x)
        return out[:, :3], out[:, 3:].exp()

    def decoded(self) -> Tensor:
        mu, sigma = self.code(self.x)
        return torch.sigmoid(self.model.decoder(mu + sigma**0.5 * self.r))

    def judge(self, name: str, what: Tensor) -> Tensor:
        return torch.sigmoid(self.model.critics[name](what))

    def kl(self) -> Tensor:
        mu, sigma = self.code(self.x)
        terms = [0.5 * (m @ m + s.sum() - len(m) - torch.logdet(torch.diag(s))) for m, s in zip(mu, sigma, strict=True)]
        return torch.stack(terms).mean()

    def reconstruction(self) -> Tensor:
        return torch.stack([0.5 * (a - b).norm() ** 2 for a, b in zip(self.x, self.decoded(), strict=True)]).mean()

    def fooling_images(self) -> Tensor:
        return (1 - self.judge("discriminator", self.decoded())).log().mean()

    def fooling_codes(self) -> Tensor:
        return (1 - self.judge("encoding_discriminator", self.code(self.decoded().detach())[0])).log().mean()

    def balance_images(self) -> Tensor:
        return self.judge("discriminator", self.x).log().mean() + self.fooling_images()

    def balance_codes(self) -> Tensor:
        return self.judge("encoding_discriminator", self.code(self.x)[0]).log().mean() + self.fooling_codes()

    def leaning_images(self) -> Tensor:
        return -self.reconstruction()

    def leaning_codes(self) -> Tensor:
        mu, again = self.code(self.x)[0], self.code(self.decoded())[0]
        return -0.5 * (mu - again).square().sum(1).mean()

    def objective(self, player: str, variant: str, mode: str) -> Tensor:
        """What a player minimises; a balance function is maximised, leaning terms of (9) and (15) included."""
        judges_images, judges_codes = variant in ("ava1", "ava2", "ava5"), variant in ("ava3", "ava4", "ava5")
        if player == "encoder":
            loss = self.kl() + (self.reconstruction() if mode == "standard" else 0)
            return loss + self.fooling_codes() if judges_codes else loss
        if player == "decoder":
            return self.reconstruction() + (self.fooling_images() if judges_images else 0)
        if player == "discriminator":
            return -self.balance_images() - (self.leaning_images() if variant in ("ava2", "ava5") else 0)
        return -self.balance_codes() - (self.leaning_codes() if variant in ("ava4", "ava5") else 0)


def parts(model: Any) -> dict[str, Any]:
    return {"encoder": model.encoder, "decoder": model.decoder, **model.critics}


@pytest.mark.parametrize("mode", ["standard", "paper"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_player_follows_the_gradient_of_its_own_objective(variant: str, mode: str) -> None:
    model = tiny(variant, mode=mode).double()
    assert set(model.players()) == PLAYERS[variant]
    seed_everything(4)
    r = torch.randn(4, 3, dtype=torch.double)
    written = Written(model, images(), r)
    expected = {
        player: torch.autograd.grad(written.objective(player, variant, mode), list(part.parameters()))
        for player, part in parts(model).items()
    }
    values = {player: written.objective(player, variant, mode).item() for player in parts(model)}

    minimise = Minimiser({name: torch.optim.SGD(part.parameters(), lr=0.0) for name, part in parts(model).items()})
    seed_everything(4)
    logged = model.training_step(Batch(images(), None), Step(0, 0, 1), minimise)
    for player, part in parts(model).items():
        for got, gradient in zip(part.parameters(), expected[player], strict=True):
            torch.testing.assert_close(got.grad, gradient, rtol=1e-9, atol=1e-12)
            assert gradient.abs().max() > 0
    assert logged["loss_decoder"].item() == pytest.approx(values["decoder"], rel=1e-9)
    assert logged["loss_encoder"].item() == pytest.approx(values["encoder"], rel=1e-9)
    total = written.reconstruction() + written.kl()
    total = total + (written.fooling_images() if "discriminator" in parts(model) else 0)
    total = total + (written.fooling_codes() if "encoding_discriminator" in parts(model) else 0)
    assert logged["loss"].item() == pytest.approx(total.item(), rel=1e-9)


@pytest.mark.parametrize(
    ("variant", "player"), [(name, player) for name in VARIANTS for player in sorted(PLAYERS[name])]
)
def test_no_player_s_loss_moves_another_s_parameters(variant: str, player: str) -> None:
    model = tiny(variant)
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts(model).items()}
    minimise = Minimiser(model.players())
    alone = lambda **losses: minimise(**{player: losses[player]})  # noqa: E731
    model.training_step(Batch(images().float(), None), Step(0, 0, 1), alone)
    for name, part in parts(model).items():
        moved = any(not torch.equal(value, before[name][key]) for key, value in part.state_dict().items())
        assert moved == (name == player), name


@pytest.mark.parametrize(("plain", "leaning"), [("ava1", "ava2"), ("ava3", "ava4")])
def test_leaning_terms_move_nothing_so_that_the_variants_train_alike(plain: str, leaning: str) -> None:
    trained = []
    for variant in (plain, leaning):
        model = tiny(variant)
        minimise = Minimiser(model.players())
        seed_everything(2)
        for index in range(5):
            model.training_step(Batch(images(index).float(), None), Step(index, 0, 5), minimise)
        trained.append(model.state_dict())
    assert all(torch.equal(value, trained[1][key]) for key, value in trained[0].items())
    assert "with exact gradients" in find(leaning).card.summary


def trained_codes(mode: str) -> tuple[float, float]:
    """KL, and how much a reconstruction depends on its image, after training on two kinds of images."""
    seed_everything(0)
    model = genlab.create("ava1", (1, 8, 8), hidden=32, critic_hidden=16, latent_dim=2, mode=mode, learning_rate=5e-3)
    x = torch.zeros(32, 1, 8, 8)
    x[::2, :, :4] = 1.0
    x[1::2, :, 4:] = 1.0
    minimise = Minimiser(model.players())
    for index in range(300):
        model.training_step(Batch(x, None), Step(index, 0, 300), minimise)
    with torch.no_grad():
        rebuilt = model.decode(model.encode(x).mean)
        return model.encode(x).kl().sum(1).mean().item(), (rebuilt[0] - rebuilt[1]).abs().mean().item()


def test_without_the_reconstruction_the_encoder_ignores_the_image() -> None:
    kl, spread = trained_codes("standard")
    assert kl > 0.3
    assert spread > 0.5
    kl, spread = trained_codes("paper")
    assert kl < 0.02
    assert spread < 0.1


def test_the_variant_is_its_name() -> None:
    assert all(find(name).fixed == {"variant": int(name[-1])} for name in VARIANTS)
    assert "variant" not in find("ava5").parameters
    with pytest.raises(BadInputError, match="leave it out"):
        genlab.create("ava1", (1, 8, 8), variant=5)
    assert capabilities(type(tiny("ava5"))) == (
        "descends",
        "samples",
        "encodes",
        "encodes_normal",
        "decodes",
        "has_prior",
        "bounds",
        "importance_weighted",
    )


def test_reconstruction_improves_with_training_and_sampling_follows_its_generator() -> None:
    from sklearn.datasets import load_digits

    x = torch.tensor(load_digits().images[:128] / 16, dtype=torch.float32)[:, None]
    seed_everything(0)
    model = genlab.create("ava5", (1, 8, 8), hidden=64, critic_hidden=32, latent_dim=8, learning_rate=3e-3)
    minimise = Minimiser(model.players())
    losses = [
        model.training_step(Batch(x, None), Step(index, 0, 200), minimise)["reconstruction"].item()
        for index in range(200)
    ]
    assert losses[-1] < 0.5 * losses[0]
    draw = [model.sample(3, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
    cold = model.sample(2, temperature=0.0)
    assert torch.equal(cold[0], cold[1])
    validated = model.validation_step(Batch(x, None))
    assert validated["reconstruction"].item() == pytest.approx(losses[-1], rel=0.15)


def test_it_trains_in_mixed_precision() -> None:
    model = tiny("ava5")
    minimise = Minimiser(model.players())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for index in range(2):
            logged = model.training_step(Batch(images(index).float(), None), Step(index, 0, 2), minimise)
    assert all(torch.isfinite(value) for value in {**logged, **minimise.take_losses()}.values())
