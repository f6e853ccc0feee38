"""The thesis's variant VAE: every latent dimension has a small network of its own for its mean and log-variance.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.2.2.
"""

from __future__ import annotations

from torch import Tensor

from genlab.core.cards import Equation
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.subnetworks import SubNetworks
from genlab.nn.thesis import ThesisParameters, ThesisVAE, thesis_card

CARD = thesis_card(
    "Variant VAE (thesis)",
    "The vanilla VAE with another head: instead of one layer for all means and one for all variances, each of the D "
    "latent dimensions has its own little network (8 units, 4 units, a mean and a log-variance). The thesis hoped "
    "that dimensions that learn apart learn richer features; it found a lower KL, and no visible difference.",
    Equation(
        "Sub-network of dimension d",
        r"a_d = \mathrm{ReLU}(A_d h + a),\ b_d = \mathrm{ReLU}(B_d a_d + b),\ (\mu_d, \log\sigma_d^2) = C_d b_d + c",
        "Figure 5.15",
    ),
    (
        "All D sub-networks are computed in one dense layer and two batched multiplications. The thesis's code ran them one "
        "after the other, and was 28.71 times slower than the vanilla VAE at prediction for it (10,000 images, a GPU).",
        "Each sub-network starts by the fans of its own layers, not by those of the fused ones.",
        "The published code also builds the vanilla's mean and log-variance layers and never uses them; they are left out, "
        "and Table 5.4 counts without them.",
    ),
)


@register("variant_vae", CARD)
class VariantVAE(ThesisVAE):
    """Mean and log-variance of each dimension come from a sub-network D -> 8 -> 4 -> 1 + 1."""

    Parameters = ThesisParameters
    title = CARD.title

    def __init__(self, shape: Shape, classes: int, parameters: ThesisParameters) -> None:
        super().__init__(shape, classes, parameters)
        self.subnetworks = SubNetworks(parameters.latent_dim, parameters.latent_dim)

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (N, D)."""
        return self.subnetworks(features)
