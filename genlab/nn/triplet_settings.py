"""How triplets are sampled in latent space, and where a model that learns from triplets takes them from.

References:
    [1] Bruneel, Image generation through feature extraction and learning, master thesis, Linnaeus University, 2023, 5.3.
"""

from __future__ import annotations

from typing import Literal

import pydantic

from genlab.core.parameters import Parameters, parameter

Step = Literal["log_var", "sigma"]
StochasticRadius = Literal["off", "per_draw", "per_dimension"]


class TripletSettings(Parameters):
    """How far positives and negatives lie from their anchor, and how often they turn towards the mean.

    The fields are the keywords of `genlab.latent.sample_triplet_codes`; `genlab.latent.TRIPLET_PRESETS` has the values of
    the thesis and of its code.
    """

    positive_radius: float = parameter(
        0.15, "Distance of the positive from the anchor, in steps.", minimum=0, maximum=2, step=0.01, symbol="r_p"
    )
    negative_radius: float = parameter(
        0.30, "Distance of the negative from the anchor, in steps.", minimum=0, maximum=4, step=0.01, symbol="r_n"
    )
    positive_toward_mean: float = parameter(
        0.95, "Probability that a dimension of the positive moves towards the mean of all codes.", minimum=0, maximum=1, step=0.01, symbol="p_p"
    )  # fmt: skip
    negative_toward_mean: float = parameter(
        0.85, "Probability that a dimension of the negative moves towards the mean of all codes.", minimum=0, maximum=1, step=0.01, symbol="p_n"
    )  # fmt: skip
    step: Step = parameter(
        "log_var", "What one step is: |log σ²| as in the thesis (0 where σ = 1), or the standard deviation σ."
    )
    stochastic_radius: StochasticRadius = parameter(
        "off", "Vary both radii by one random factor: the same for a whole triplet, or another in each dimension."
    )
    radius_spread: float = parameter(
        0.5, "The random factor of the radii is uniform from 1 − spread to 1 + spread.", minimum=0, maximum=1, step=0.05
    )

    @pydantic.model_validator(mode="after")
    def _positive_is_nearer(self) -> TripletSettings:
        if self.positive_radius >= self.negative_radius:
            raise ValueError(
                f"The positive must lie nearer to the anchor than the negative, and its radius {self.positive_radius:g} "
                f"is not below {self.negative_radius:g}; lower the positive radius or raise the negative one."
            )
        return self

    @property
    def agreement(self) -> float:
        """Expected share of dimensions in which positive and negative move the same way, in [0, 1].

        >>> round(TripletSettings().agreement, 3)
        0.815
        """
        p, q = self.positive_toward_mean, self.negative_toward_mean
        return p * q + (1 - p) * (1 - q)


class TripletSource(TripletSettings):
    """Where a model's triplets come from: its labels, another run's latent space, or both."""

    source: Literal["real", "sampled", "mixed"] = parameter(
        "real", "Triplets of the labelled images; or sampled by another run around each image, without labels; or half and half."
    )  # fmt: skip
    triplets_from: str = parameter(
        "",
        "Name, id or folder of the run that samples triplets, such as a VAE on images of the same size; empty for none.",
    )
    drawn_once: int = parameter(
        0, "Sampled triplets that are drawn once, before training; 0 draws one around every image in every epoch.", minimum=0, maximum=1_000_000
    )  # fmt: skip

    kept: Literal["semi_hard", "all"] = parameter(
        "semi_hard",
        "Triplets drawn anew that are learned from: semi-hard ones alone, or others too where a pair has no semi-hard negative. "
        "Real triplets and those drawn once are all kept.",
    )

    @property
    def drops_others(self) -> bool:
        """Whether triplets that are not semi-hard are dropped."""
        return self.source != "real" and not self.drawn_once and self.kept == "semi_hard"

    @pydantic.model_validator(mode="after")
    def _sampled_triplets_have_a_run(self) -> TripletSource:
        if (self.source == "real") == bool(self.triplets_from):
            raise ValueError(
                "Sampled and mixed triplets come from a run, and real ones do not: name a run in triplets_from and set "
                "source to sampled or mixed, or leave it empty and set source to real."
            )
        if self.source == "real" and self.drawn_once:
            raise ValueError("Real triplets are not drawn by a run; set drawn_once to 0, or set source to sampled.")
        return self
