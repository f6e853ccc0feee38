"""CycleGAN: two generators turn images of two unpaired sets into each other, and back again without loss.

The file is longer than most models because it holds two games, one each way, and what ties them together.

References:
    [1] Zhu, Park, Isola & Efros, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, 2017.
    [2] Shrivastava et al., Learning from Simulated and Unsupervised Images through Adversarial Training, 2017 (buffer).
    [3] Mao et al., Least Squares Generative Adversarial Networks, 2017.
    [4] Odena, Dumoulin & Olah, Deconvolution and Checkerboard Artifacts, 2016 (resize, then convolve).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.core.batch import Batch, Step
from genlab.core.capabilities import Descends, Translates
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.errors import BadInputError
from genlab.core.model import Model
from genlab.core.parameters import Parameters, parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn.adversarial import discriminator_loss, generator_loss, judged
from genlab.nn.optimisers import adam
from genlab.nn.translation import PastImages, PatchCritic, ResidualTranslator

SETS = ("first", "second")
CARD = Card(
    title="CycleGAN",
    family="adversarial",
    paper="Zhu, Park, Isola & Efros, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
    year=2017,
    link="https://arxiv.org/abs/1703.10593",
    summary=(
        "Two heaps of images, say of horses and of zebras, and no image of the one belongs to any of the other. A generator G "
        "turns the first kind into the second, a generator F turns it back, and for each kind a critic says which images are "
        "real. Critics alone would let G paint any zebra; the cycle loss demands that F finds the very horse again, so that "
        "pose and place must survive and only the style changes. Look at the third row of the pictures, there and back: what "
        "is lost there was never carried over."
    ),
    equations=(
        Equation("Adversarial loss", r"L_{GAN}(G,D_Y)=\mathbb E_y[\log D_Y(y)]+\mathbb E_x[\log(1-D_Y(G(x)))]", "[1] (1)"),
        Equation("Cycle consistency", r"L_{cyc}(G,F)=\mathbb E_x\|F(G(x))-x\|_1+\mathbb E_y\|G(F(y))-y\|_1", "[1] (2)"),
        Equation("Objective", r"L=L_{GAN}(G,D_Y)+L_{GAN}(F,D_X)+\lambda L_{cyc}(G,F)", "[1] (3)"),
        Equation("Least squares, generator", r"\mathbb E_x(D_Y(G(x))-1)^2", "[1] 4"),
        Equation("Least squares, critic", r"\tfrac12\mathbb E_y(D_Y(y)-1)^2+\tfrac12\mathbb E_x D_Y(G(x))^2", "[1] 4"),
        Equation("Identity", r"L_{identity}(G,F)=\mathbb E_y\|G(y)-y\|_1+\mathbb E_x\|F(x)-x\|_1", "[1] 5.2"),
    ),
    departures=(
        "Small images need small networks: maps are halved once below 48 pixels and twice from there on, with 3 residual "
        "blocks instead of 6 or 9, and critics whose patch is 18 pixels wide instead of 70.",
        "The generators resize and then convolve where the paper has transposed convolutions, which leave a checkerboard [4].",
        "The learning rate stays constant unless a schedule is chosen; the paper lets it fall to 0 over the second half.",
        "Batches of several images instead of one, as one core computes them faster; instance normalisation keeps each "
        "image's own statistics all the same.",
        "‖·‖₁ is a mean over values in [−1, 1], as in the authors' code, so that λ means what it means there.",
        "Within one batch no two images leave the buffer for the same slot; the authors go through a batch one by one.",
    ),
    scalars={
        "loss": Scalar("All players' losses added; in a game it need not fall", "neither"),
        "loss_generators": Scalar("What both generators minimise: adversarial, cycle and identity terms, weighted", "neither"),
        "loss_critic_first": Scalar("What the critic of the first set minimises; ¼ when it can only guess (least squares)", "neither", 0.25),
        "loss_critic_second": Scalar("What the critic of the second set minimises; ¼ when it can only guess (least squares)", "neither", 0.25),
        **{f"{which}_d_real": Scalar(f"D(x), mean verdict of the {which} set's critic on its images; ½ when it can only guess", "neither", 0.5) for which in SETS},
        **{f"{which}_d_fake": Scalar(f"The same of translations into the {which} set; ½ when the critic can only guess", "neither", 0.5) for which in SETS},
        "adversarial": Scalar("How far the critics see through both generators, added; ½ at ¼ each (least squares)", "neither", 0.5),
        "cycle": Scalar("L_cyc, mean absolute error there and back of both sets, added, of values in [−1, 1]"),
        "identity": Scalar("L_identity, how much the generators change images that already are of their kind, as `cycle`"),
    },
    presets={
        "quick": {"epochs": 2, "batch_size": 16, "width": 8, "blocks": 2, "identity": 0.0, "learning_rate": 1e-3},
        "default": {"epochs": 6, "batch_size": 8, "learning_rate": 5e-4},
        "paper": {"epochs": 200, "batch_size": 1, "width": 64, "blocks": 9, "critic_width": 64, "critic_levels": 3},
    },
    sizes="any size from 8x8, grey or colour; both image sets must have the same",
)  # fmt: skip


Terms = dict[str, Tensor]


class CycleGANParameters(Parameters):
    """The losses, the two kinds of network and the buffer."""

    width: int = parameter(
        16, "Channels of the generators at full size; they double at each halving.", minimum=4, maximum=128
    )
    blocks: int = parameter(3, "Residual blocks of each generator.", minimum=1, maximum=12)
    critic_width: int = parameter(
        16, "Channels of the critics' first layer; they double at each halving.", minimum=4, maximum=128
    )
    critic_levels: int = parameter(
        2, "Halvings of each critic: 2 judge patches of 18 pixels, 3 of 38.", minimum=1, maximum=4
    )
    loss: Literal["least_squares", "non_saturating"] = parameter(
        "least_squares", "What generators and critics play for."
    )
    cycle: float = parameter(10.0, "Weight of the cycle loss.", minimum=0, maximum=1000, symbol=r"\lambda")
    identity: float = parameter(
        0.5, "Weight of the identity loss, as a share of the cycle loss's; 0 leaves it out.", minimum=0, maximum=10
    )
    buffer: int = parameter(
        50,
        "Past translations that a critic is shown in place of every second new one; 0 shows new ones only.",
        minimum=0,
        maximum=1000,
    )
    critic_steps: int = parameter(
        1, "Moves of the critics for each move of the generators.", minimum=1, maximum=100, symbol="k"
    )
    learning_rate: float = parameter(2e-4, "Step size of Adam for the generators.", minimum=1e-6, maximum=1, log=True)
    critic_learning_rate: float = parameter(
        2e-4, "Step size of Adam for the critics.", minimum=1e-6, maximum=1, log=True
    )
    momentum: float = parameter(0.5, "Adam's first decay, of all players.", minimum=0, maximum=0.999, symbol=r"\beta_1", advanced=True)  # fmt: skip


class Judged(NamedTuple):
    """The generators' loss, their translations, and the terms to log."""

    loss: Tensor
    as_first: Tensor
    as_second: Tensor
    terms: Terms


@register("cyclegan", CARD)
class CycleGAN(Model, Descends, Translates):
    """Generators first -> second and second -> first, and a critic of each set; images inside are in [−1, 1]."""

    Parameters = CycleGANParameters

    def __init__(self, shape: Shape, classes: int, parameters: CycleGANParameters) -> None:
        super().__init__(shape, classes, parameters)
        if min(shape.height, shape.width) < 8:
            raise BadInputError(f"CycleGAN takes images of at least 8x8 pixels, and these are {shape}; enlarge them.")
        self.p = p = parameters
        self.to_second = ResidualTranslator(shape, p.width, p.blocks)
        self.to_first = ResidualTranslator(shape, p.width, p.blocks)
        self.critic_first = PatchCritic(shape, p.critic_width, p.critic_levels)
        self.critic_second = PatchCritic(shape, p.critic_width, p.critic_levels)
        self.past_first, self.past_second = PastImages(shape, p.buffer), PastImages(shape, p.buffer)

    def translate(self, images: Tensor, *, back: bool = False) -> Tensor:
        """Images (N, C, H, W) in [0, 1] of one set as of the other."""
        translated: Tensor = (self.to_first if back else self.to_second)(2 * images - 1)
        return (translated + 1) / 2

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Three players: both generators together, and each critic."""
        betas = (self.p.momentum, 0.999)
        generators = [*self.to_second.parameters(), *self.to_first.parameters()]
        return {
            "generators": adam(generators, self.p.learning_rate, betas=betas),
            "critic_first": adam(self.critic_first.parameters(), self.p.critic_learning_rate, betas=betas),
            "critic_second": adam(self.critic_second.parameters(), self.p.critic_learning_rate, betas=betas),
        }

    def training_step(self, batch: Batch, step: Step, minimise: Callable[..., None]) -> Mapping[str, Tensor]:
        """The generators move, in every k-th step; then both critics, which are shown past translations too."""
        first, second = pair(batch)
        moves = (step.index + 1) % self.p.critic_steps == 0
        with torch.set_grad_enabled(moves):
            played = self.judge(first, second)
        if moves:
            minimise(generators=played.loss)
        as_first = self.past_first.exchange(played.as_first.detach())
        as_second = self.past_second.exchange(played.as_second.detach())
        losses, verdicts = self.critic_losses(first, second, as_first, as_second)
        minimise(**losses)
        total = played.loss + sum(losses.values())
        return {"loss": total.detach(), "loss_generators": played.loss.detach(), **played.terms, **verdicts}

    def validation_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The same losses on held-out images, the critics shown new translations only."""
        first, second = pair(batch)
        played = self.judge(first, second)
        critics, verdicts = self.critic_losses(first, second, played.as_first, played.as_second)
        return {"loss": played.loss + sum(critics.values()), **played.terms, **verdicts}

    def judge(self, first: Tensor, second: Tensor) -> Judged:
        """The objective of the generators ([1] (3) and 5.2), from images in [−1, 1]."""
        p = self.p
        as_second, as_first = self.to_second(first), self.to_first(second)
        adversarial = self.unconvinced(self.critic_second(as_second)) + self.unconvinced(self.critic_first(as_first))
        cycle = F.l1_loss(self.to_first(as_second), first) + F.l1_loss(self.to_second(as_first), second)
        loss, terms = adversarial + p.cycle * cycle, {"adversarial": adversarial.detach(), "cycle": cycle.detach()}
        if p.identity:
            identity = F.l1_loss(self.to_second(second), second) + F.l1_loss(self.to_first(first), first)
            loss, terms["identity"] = loss + p.identity * p.cycle * identity, identity.detach()
        return Judged(loss, as_first, as_second, terms)

    def unconvinced(self, logits: Tensor) -> Tensor:
        """A generator's adversarial loss; [1] has no ½ before the square, which [3] has."""
        loss = generator_loss(self.p.loss, logits)
        return 2 * loss if self.p.loss == "least_squares" else loss

    def critic_losses(self, first: Tensor, second: Tensor, as_first: Tensor, as_second: Tensor) -> tuple[Terms, Terms]:
        """What each critic minimises, and its mean verdicts on real images and on translations.

        It is half its objective ([1] 7.1), which the ½ of [3] is for least squares already.
        """
        share = 1.0 if self.p.loss == "least_squares" else 0.5
        losses, verdicts = {}, {}
        sides = (self.critic_first, first, as_first), (self.critic_second, second, as_second)
        for name, (critic, real, fake) in zip(SETS, sides, strict=True):
            on_real, on_fake = critic(real), critic(fake)
            losses[f"critic_{name}"] = share * discriminator_loss(self.p.loss, on_real, on_fake)
            verdicts[f"{name}_d_real"] = judged(self.p.loss, on_real)
            verdicts[f"{name}_d_fake"] = judged(self.p.loss, on_fake)
        return losses, verdicts


def pair(batch: Batch) -> tuple[Tensor, Tensor]:
    """Images of both sets in [−1, 1]."""
    if batch.second is None:
        raise BadInputError("CycleGAN learns from two image sets, and these batches hold one; give a second set.")
    return 2 * batch.images - 1, 2 * batch.second - 1
