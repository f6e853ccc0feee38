"""Dense players of an adversarial game: what `gan` and `cgan` share."""

from __future__ import annotations

from torch import nn

from genlab.core.parameters import parameter
from genlab.core.shapes import Shape
from genlab.nn.blocks import mlp
from genlab.nn.game import GameParameters


class DenseParameters(GameParameters):
    """The game, and the dense layers of its players."""

    hidden: int = parameter(
        256, "Units of the first dense layer of the generator; the second has twice as many.", minimum=4, maximum=4096
    )
    critic_hidden: int = parameter(
        256, "Units of the discriminator's second dense layer; the first has twice as many.", minimum=4, maximum=4096
    )
    batch_norm: bool = parameter(True, "Batch normalisation in the generator.")
    dropout: float = parameter(0.3, "Probability of dropping a unit of the discriminator.", minimum=0, maximum=0.9)  # fmt: skip


def dense_generator(shape: Shape, latent_dim: int, p: DenseParameters) -> nn.Sequential:
    """Codes (N, latent_dim) to images (N, C, H, W) in [0, 1], through a sigmoid."""
    return nn.Sequential(
        mlp([latent_dim, p.hidden, 2 * p.hidden], batch_norm=p.batch_norm, slope=0.2),
        nn.Linear(2 * p.hidden, shape.values),
        nn.Sigmoid(),
        nn.Unflatten(1, tuple(shape)),
    )


def dense_critic(inputs: int, p: DenseParameters) -> nn.Sequential:
    """Flat inputs (N, inputs) to scores (N, 1)."""
    layers = mlp([inputs, 2 * p.critic_hidden, p.critic_hidden], dropout=p.dropout, slope=0.2)
    return nn.Sequential(layers, nn.Linear(p.critic_hidden, 1))
