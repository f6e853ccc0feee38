"""What a model can do, as abstract classes: capabilities are read from a model's class, never declared beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genlab.core.batch import Batch, Step


class Codes(Protocol):
    """What an encoder returns: `mean` (N, D), and `log_var` (N, D) or None when codes are points."""

    @property
    def mean(self) -> Tensor:
        """Codes, or the means of their distributions (N, D)."""

    @property
    def log_var(self) -> Tensor | None:
        """Log-variances (N, D), or None."""


class Fits(ABC):
    """Fits in closed form or by EM, without gradients."""

    @abstractmethod
    def fit(self, batch: Batch, *, iterations: int, start: int = 0) -> Iterator[dict[str, float]]:
        """Improve on all training images at once, yielding the scalars of each iteration.

        `start` > 0 continues from the model's present state, as if it had never stopped.
        One of the scalars is `loss`, the mean negative log-likelihood in nats an image.
        """

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same scalars of held-out images, as far as they have them; none by default."""
        return {}


class Descends(ABC):
    """Learns by gradient descent with one or several players."""

    @abstractmethod
    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Name -> optimiser; every trainable parameter belongs to exactly one player."""

    @abstractmethod
    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """Compute the losses of one batch and hand them to `minimise(player=loss, …)`.

        Returns what else to log, as detached scalars. `minimise` logs each loss itself; the key
        `loss` is the training objective (by default the sum of the players' losses).
        """

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """Scalars of a held-out batch, in evaluation mode and without gradients; none by default."""
        return {}


class Samples(ABC):
    """Draws new images."""

    @abstractmethod
    def sample(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw (count, C, H, W) in [0, 1]; `temperature` scales the spread of the noise."""


class SamplesByLabel(ABC):
    """Draws new images of chosen classes."""

    @abstractmethod
    def sample_labels(
        self, labels: Tensor, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw one image for each label (N,), as (N, C, H, W) in [0, 1]."""


class Encodes(ABC):
    """Maps images to codes."""

    latent_dim: int

    @abstractmethod
    def encode(self, images: Tensor) -> Codes:
        """Codes of images (N, C, H, W) in [0, 1]; deterministic."""


class DrawsCodes(Encodes):
    """Is trained on codes drawn from a diagonal normal, whether or not its codes hold more than what was drawn."""

    @abstractmethod
    def drawn_from(self, batch: Batch) -> Codes:
        """The normal of each image, with mean and log-variance (N, d), that training would draw from."""


class EncodesNormal(DrawsCodes):
    """Maps each image to a diagonal normal over codes: `log_var` is never None."""

    def drawn_from(self, batch: Batch) -> Codes:
        """What images are encoded to."""
        return self.encode(batch.images)


class Embeds(Encodes):
    """Maps images to unit vectors that lie near one another where two images show the same thing."""

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Unit vectors (N, D) of images (N, C, H, W) in [0, 1]; deterministic."""


class Decodes(ABC):
    """Maps codes to images."""

    latent_dim: int

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of codes (N, D)."""


class HasPrior(ABC):
    """Knows how codes are distributed before an image is seen."""

    @abstractmethod
    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes (count, D) from the prior."""


class Scores(ABC):
    """Gives the exact log-likelihood of an image."""

    @abstractmethod
    def log_likelihood(self, images: Tensor) -> Tensor:
        """Log p(x) in nats (N,), under the model's own reading of a pixel (`pixel_measure`)."""

    pixel_measure: str = "density"
    """"density" over pixels in [0, 1], or "binary" for mass over pixels thresholded at one half."""


class Bounds(ABC):
    """Bounds the log-likelihood of an image from below."""

    @abstractmethod
    def bound_terms(self, images: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """`reconstruction` and `kl` (N,) in nats with one posterior draw an image; ELBO = −(their sum)."""

    pixel_measure: str = "density"
    """As of `Scores`, or "bernoulli" where grey values are scored as if they were probabilities of white, which is neither."""


class ImportanceWeighted(Bounds):
    """Weighs codes drawn for an image, so that its likelihood can be estimated and not only bounded."""

    @abstractmethod
    def log_weights(self, images: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Logarithms of p(x, z_s) / q(z_s|x) for `count` draws z_s ~ q(z|x), (count, N) in nats."""


class Classifies(ABC):
    """Gives the posterior over classes."""

    @abstractmethod
    def classify(self, images: Tensor) -> Tensor:
        """Log p(class | x), (N, classes)."""


class Imputes(ABC):
    """Fills in pixels that are missing."""

    @abstractmethod
    def impute(self, images: Tensor, known: Tensor) -> Tensor:
        """Images with the pixels where `known` (N, C, H, W) is False replaced by their expectation."""


class Translates(ABC):
    """Learns from two unpaired image sets, and turns images of the one kind into the other."""

    @abstractmethod
    def translate(self, images: Tensor, *, back: bool = False) -> Tensor:
        """Images (N, C, H, W) of the first set as of the second; `back` goes from the second to the first."""


class MixesStyles(ABC):
    """Decodes codes level by level, so that an image can take its coarse traits from one code and its fine ones from another."""

    style_levels: int

    @abstractmethod
    def mix_styles(self, coarse: Tensor, fine: Tensor, level: int) -> Tensor:
        """Images (N, C, H, W) with the style of `coarse` (N, D) below `level` and that of `fine` (N, D) from there on."""


CAPABILITIES: dict[str, type] = {
    "fits": Fits,
    "descends": Descends,
    "samples": Samples,
    "samples_by_label": SamplesByLabel,
    "encodes": Encodes,
    "encodes_normal": EncodesNormal,
    "embeds": Embeds,
    "decodes": Decodes,
    "has_prior": HasPrior,
    "scores": Scores,
    "bounds": Bounds,
    "importance_weighted": ImportanceWeighted,
    "classifies": Classifies,
    "imputes": Imputes,
    "translates": Translates,
    "mixes_styles": MixesStyles,
}


def capabilities(model: type) -> tuple[str, ...]:
    """Names of what a model class can do, read from its bases.

    >>> class Sampler(Samples): ...
    >>> capabilities(Sampler)
    ('samples',)
    """
    return tuple(name for name, ability in CAPABILITIES.items() if issubclass(model, ability))
