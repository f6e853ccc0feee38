"""InfoGAN: part of the noise must be readable from the image, and so comes to mean something.

min_{G,Q} max_D V(D, G) − λ L_I(G, Q), L_I = E[log Q(c|G(z, c))] + H(c) ≤ I(c; G(z, c)).

References:
    [1] Chen et al., InfoGAN: Interpretable Representation Learning by Information Maximizing GANs, 2016.
    [2] Radford, Metz & Chintala, Unsupervised Representation Learning with Deep Convolutional GANs, 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genlab.core.capabilities import Encodes
from genlab.core.cards import Card, Equation, Scalar
from genlab.core.model import Model
from genlab.core.parameters import parameter
from genlab.core.registry import register
from genlab.core.shapes import Shape
from genlab.nn import convolutional_game as convolutional
from genlab.nn.game import GAME_SCALARS, Turn, TwoPlayerGame
from genlab.nn.latent_codes import Guess, draw_codes, guess_of, information
from genlab.nn.normal import Point, normal_like

CARD = Card(
    title="InfoGAN",
    family="adversarial",
    paper="Chen et al., InfoGAN: Interpretable Representation Learning by Information Maximizing GANs",
    year=2016,
    link="https://arxiv.org/abs/1606.03657",
    summary=(
        "The noise of a GAN means nothing in particular. InfoGAN adds a few codes to it (a category, some numbers) and a "
        "second reader Q beside the discriminator, which must guess the codes from the image. Generator and Q are paid "
        "for the information that gets through. Without ever seeing a label, the category often comes to be the class of "
        "the image, and the numbers its slant or its width: traverse them, and look at the map of the guessed codes."
    ),
    equations=(
        Equation("The game", r"\min_{G,Q}\max_D\;V(D,G)-\lambda L_I(G,Q)", "[1] (6)"),
        Equation("Bound of the information", r"L_I(G,Q)=\mathbb E_{c,\,x\sim G(z,c)}[\log Q(c|x)]+H(c)\;\le\;I(c;G(z,c))", "[1] (5)"),
        Equation("Codes", r"c=(c_1,c_2,\dots),\quad c_1\sim\mathrm{Cat}(K),\quad c_{2,3,\dots}\sim U(-1,1)", "[1] 7.2"),
        Equation("Q", r"Q(c_1|x)=\mathrm{softmax},\quad Q(c_j|x)=\mathcal N(\mu_j(x),\sigma_j^2(x))", "[1] 6"),
    ),
    departures=(
        *convolutional.CONVOLUTIONAL_DEPARTURES,
        "Q shares all convolutions with the discriminator, as in the paper; Q's own layers belong to the discriminator's "
        "player, whose loss is L_D − λ L_I on generated images, so that the bound shapes the shared convolutions too (the "
        "authors' program does the same; (6) alone does not say).",
        "Q's variances are learned, and none falls below 0.0025: a surer Q would be paid without end.",
        "Codes of real images are Q's guess, with the noise left at its mean 0. Decoding them gives an image with the same "
        "guessed codes, not a copy: what the noise decided is lost.",
        "Which category becomes which class is chance, and two classes may share one.",
        "Temperature scales the noise alone, not the codes.",
    ),
    scalars={
        **GAME_SCALARS,
        "loss_discriminator": Scalar("What the discriminator and Q minimise: L_D − λ L_I", "neither"),
        "loss_generator": Scalar("What the generator minimises: L_G − λ L_I", "neither"),
        "information_category": Scalar("Bound of the information that an image carries about its category, nats; at most log K, 2.303 for ten", "higher"),
        "information_continuous": Scalar("Bound of the information that an image carries about its continuous codes, nats", "higher"),
    },
    presets={
        "quick": {"epochs": 12, "batch_size": 32, "average": 0.99, "learning_rate": 1e-3, "critic_learning_rate": 5e-4},
        "default": {"epochs": 50, "batch_size": 64, "learning_rate": 1e-3},
        "paper": {"epochs": 100, "width": 64, "latent_dim": 62, "learning_rate": 1e-3, "average": 0.0, "fresh_noise": True},
    },
    sizes="any size from 8x8, grey or colour",
)  # fmt: skip


class InfoGANParameters(convolutional.ConvolutionalParameters):
    """The game, its players, and the codes that must be readable."""

    latent_dim: int = parameter(32, "Dimensions of the noise z beside the codes.", minimum=1, maximum=1024, symbol="d")
    categories: int = parameter(10, "Values of the categorical code.", minimum=2, maximum=256, symbol="K")
    continuous: int = parameter(2, "Continuous codes, each drawn evenly from −1 to 1.", minimum=1, maximum=64)
    information: float = parameter(
        1.0, "Weight of the information about the category.", minimum=0, maximum=100, symbol=r"\lambda"
    )
    information_continuous: float = parameter(
        0.1, "Weight of the information about the continuous codes.", minimum=0, maximum=100
    )
    recogniser_hidden: int = parameter(
        128, "Units of Q's own hidden layer.", minimum=4, maximum=4096, advanced=True
    )  # fmt: skip


@register("info_gan", CARD)
class InfoGAN(Model, TwoPlayerGame, Encodes):
    """A DCGAN whose discriminator also guesses the codes; a code is [noise, one-hot category, continuous]."""

    Parameters = InfoGANParameters
    p: InfoGANParameters
    critic: convolutional.Critic

    def __init__(self, shape: Shape, classes: int, parameters: InfoGANParameters) -> None:
        super().__init__(shape, classes, parameters)
        convolutional.refuse_small(shape, "InfoGAN")
        self.p = p = parameters
        self.latent_dim = p.latent_dim + p.categories + p.continuous
        self.generator = convolutional.Generator(shape, p.width, self.latent_dim)
        self.critic = convolutional.Critic(shape, p.width, batch_norm=p.normalised)
        self.recogniser = nn.Sequential(
            nn.Linear(self.critic.layers.features, p.recogniser_hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(p.recogniser_hidden, p.categories + 2 * p.continuous),
        )
        self.apply(convolutional.initialise)
        self.begin()

    def sample_prior(self, count: int, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """Codes (count, D): normal noise times `temperature`, an even category, even numbers."""
        like = next(self.generator.parameters())
        noise = temperature * normal_like(like.new_empty(count, self.p.latent_dim), generator)
        meaning = draw_codes(count, self.p.categories, self.p.continuous, like=like, generator=generator)
        return torch.cat([noise, meaning], dim=1)

    def encode(self, images: Tensor) -> Point:
        """Q's expected codes of images, the noise at its mean 0: (N, D)."""
        guess = self.guess(self.critic.features(images)).mean
        return Point(torch.cat([guess.new_zeros(len(images), self.p.latent_dim), guess], dim=1))

    def guess(self, features: Tensor) -> Guess:
        """Q(c|x) of what the discriminator sees."""
        return guess_of(self.recogniser(features), self.p.categories)

    def players(self) -> dict[str, torch.optim.Optimizer]:
        """Two players: generator, and discriminator with Q."""
        readers = [*self.critic.parameters(), *self.recogniser.parameters()]
        return {
            "generator": self.stepping(self.generator.parameters(), self.p.learning_rate),
            "discriminator": self.stepping(readers, self.p.critic_learning_rate),
        }

    def readable(self, features: Tensor, codes: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """λ L_I of the codes that images were made of, and its two parts for the log."""
        of_category, of_numbers = information(codes[:, self.p.latent_dim :], self.guess(features))
        weighed = self.p.information * of_category + self.p.information_continuous * of_numbers
        logged = {"information_category": of_category.detach(), "information_continuous": of_numbers.detach()}
        return weighed, logged

    def discriminator_objective(self, turn: Turn) -> tuple[Tensor, dict[str, Tensor]]:
        """L_D − λ L_I, with one look at the generated images for both."""
        seen = self.critic.features(turn.fake)
        loss, logged = self.contest(turn, self.critic(turn.real), self.critic.verdict(seen))
        weighed, told = self.readable(seen, turn.codes)
        logged["loss_generator"] = logged["loss_generator"] - weighed.detach()
        return loss - weighed, {**logged, **told}

    def generator_objective(self, turn: Turn) -> Tensor:
        """L_G − λ L_I."""
        seen = self.critic.features(turn.fake)
        return self.contested(self.critic.verdict(seen)) - self.readable(seen, turn.codes)[0]
