"""The thesis's vanilla VAE: a convolutional encoder and decoder with one dense layer for all means, one for all log-variances.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.2.1.
"""

from __future__ import annotations

from torch import Tensor, nn

from genlab.core.cards import Equation
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.thesis import ThesisParameters, ThesisVAE, thesis_card
from genlab.nn.thesis_layers import initialise

CARD = thesis_card(
    "Vanilla VAE (thesis)",
    "Five convolutions halve the image until little is left of its place and much of its content; a dense layer "
    "squeezes that into D numbers, and two more read from them a mean and a variance for each dimension of the code. "
    "The decoder runs the other way. It is the yardstick for its variant, and what triplets were sampled from.",
    Equation("Head", r"\mu = W_\mu h + b_\mu,\quad \log\sigma^2 = W_\sigma h + b_\sigma", "Table 5.2"),
)


@register("vanilla_vae", CARD)
class VanillaVAE(ThesisVAE):
    """Mean and log-variance are each one dense layer D -> D."""

    Parameters = ThesisParameters
    title = CARD.title

    def __init__(self, shape: Shape, classes: int, parameters: ThesisParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.mean = nn.Linear(parameters.latent_dim, parameters.latent_dim)
        self.log_var = nn.Linear(parameters.latent_dim, parameters.latent_dim)
        for layer in (self.mean, self.log_var):
            initialise(layer)

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (N, D)."""
        return self.mean(features), self.log_var(features)
