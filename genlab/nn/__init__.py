"""What several models share: blocks, distributions, likelihoods, adversarial losses."""

from genlab.nn.triplet import triplet_loss

__all__ = ["triplet_loss"]
