"""What sets AVA1 to AVA5 apart: who judges, who leans, their equations, and their cards.

References:
    [1] Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, 2024.
"""

from __future__ import annotations

import math

from genlab.core.cards import Card, Equation, Scalar

JUDGES = {"discriminator": ("ava1", "ava2", "ava5", "gan"), "encoding_discriminator": ("ava3", "ava4", "ava5")}
"""Which variants have the discriminator of images, and that of codes; "gan" is one of the two poles."""
LEANS = {"discriminator": ("ava2", "ava5"), "encoding_discriminator": ("ava4", "ava5")}
"""Which variants let a discriminator lean, towards the decoder or the encoder."""
FOOLERS = {"discriminator": "decoder", "encoding_discriminator": "encoder"}
"""Who is paid for fooling whom."""

SUMMARIES = {
    "ava1": "AVA1 is the plain one: a discriminator d judges images, and the decoder is paid for fooling it.",
    "ava2": "AVA2 lets the discriminator lean towards the decoder by a term −½‖x − x'‖² in its balance function. That "
    "term does not depend on the discriminator's weights, so that with exact gradients AVA2 is AVA1.",
    "ava3": "AVA3 judges codes instead of images: an encoding discriminator D tells the mean of a real image from the "
    "mean of a decoded one, and the encoder is paid for fooling it.",
    "ava4": "AVA4 lets that discriminator lean towards the encoder by a term −½‖μ(x) − μ(x')‖². That term does not "
    "depend on the discriminator's weights, so that with exact gradients AVA4 is AVA3.",
    "ava5": "AVA5 has it all: a discriminator of images, one of codes, and both leaning terms (which move nothing when "
    "gradients are exact).",
}
KL = Equation("Divergence", r"\mathrm{KL}=\tfrac12\sum_j(\mu_j^2+\Sigma_j-1-\log\Sigma_j)", "[1] (1)")
CODE = Equation("Random code", r"z=\mu(x)+\Sigma(x)^{1/2}r,\quad r\sim\mathcal N(0,I)", "[1] (8)")
LOSS = Equation("Loss with d", r"l=\tfrac12\|x-x'\|^2+\mathrm{KL}+\log(1-d(x'))", "[1] (3)")
BALANCE = Equation("Balance of images", r"b=\log d(x)+\log(1-d(x'))", "[1] (4)")
LEAN = Equation("Leaning decoder", r"b=\log d(x)+\log(1-d(x'))-\tfrac12\|x-x'\|^2", "[1] (9)")
CODE_BALANCE = Equation("Balance of codes", r"B=\log D(\mu(x))+\log(1-D(\mu(x')))", "[1] (11)")
CODE_LOSS = Equation("Loss with D", r"l=\tfrac12\|x-x'\|^2+\mathrm{KL}+\log(1-D(\mu(x')))", "[1] (12) without d")
BOTH_LOSS = Equation(
    "Loss with d and D", r"l=\tfrac12\|x-x'\|^2+\mathrm{KL}+\log(1-d(x'))+\log(1-D(\mu(x')))", "[1] (12)"
)
CODE_LEAN = Equation("Leaning encoder", r"B=\log D(\mu(x))+\log(1-D(\mu(x')))-\tfrac12\|\mu(x)-\mu(x')\|^2", "[1] (15)")
DECODER_RULE = Equation(
    "Rule `printed`, decoder", r"\Delta\Phi[i]=\gamma\left((x_i-x'_i)+\frac{a'_d}{1-d(x')}\right)a'_g(x'_i)", "[1] (6)"
)
CRITIC_RULE = Equation(
    "Rule `printed`, discriminator",
    r"\Delta\Psi=\gamma\left(\frac{a'_d}{d(x)}-\frac{a'_d}{1-d(x')}\left[+a'_d\sum_i(x_i-x'_i)a'_g(x'_i)\right]\right)",
    "[1] (7), [10]",
)
ENCODER_RULE = Equation(
    "Rule `printed`, encoder",
    r"\Delta\Theta_\mu[i]=-\gamma\left(\mu_i-\frac{a'_D}{1-D(\mu(x'))}\right)a'_f",
    "[1] (14)",
)
CODE_CRITIC_RULE = Equation(
    "Rule `printed`, encoding discriminator",
    r"\Delta\Lambda=\gamma\left(\frac{a'_D}{D(\mu(x))}-\frac{a'_D}{1-D(\mu(x'))}\left[+a'_D\sum_i(\mu_i(x)-\mu_i(x'))a'_f\right]\right)",
    "[1] (13), [16]",
)
EQUATIONS = {
    "ava1": (LOSS, BALANCE, KL, CODE, DECODER_RULE, CRITIC_RULE),
    "ava2": (LOSS, LEAN, KL, CODE, DECODER_RULE, CRITIC_RULE),
    "ava3": (CODE_LOSS, CODE_BALANCE, KL, CODE, ENCODER_RULE, CODE_CRITIC_RULE),
    "ava4": (CODE_LOSS, CODE_LEAN, KL, CODE, ENCODER_RULE, CODE_CRITIC_RULE),
    "ava5": (BOTH_LOSS, LEAN, CODE_LEAN, KL, CODE, DECODER_RULE, CRITIC_RULE, ENCODER_RULE, CODE_CRITIC_RULE),
}
DEPARTURES = (
    "Rule `autograd`, the default, takes exact gradients. The printed gradient of the divergence, (μ − ½Σ⁻¹ + ½I)a', adds "
    "what belongs to μ and what belongs to Σ; right is ∂μ = μ and ∂Σ = ½(I − Σ⁻¹), in rule `printed` too.",
    "The printed updates (6), (10), (14) and (16) assume that all weights between two networks are 1. With rule `autograd` "
    "the error passes through the real weights; rule `printed` keeps the assumption and the bracketed leaning terms.",
    "Equations (7) and (13) use one activation's derivative for the real and the generated term; both rules compute each "
    "term with the activations of its own input.",
    "Equations (14) and (16) write D(x'), though D judges means: D(μ(x')) is used, as in (11). Equation (16) multiplies by "
    "the decoder's derivative a'_g where means come from the encoder: a'_f is used.",
    "Rule `authors` does what the program behind the paper's tables does, which is not what the equations say: one network "
    "for each colour channel, weights that start at 0, layers that move before the error passes, a Σ that has lost its −I, "
    "and a decoder that takes its own output for the discriminator's, so that no discriminator reaches an image. Codes are "
    "drawn around the last μ and Σ that the encoder gave, not from N(0, I). Here the order of images is shuffled, and "
    "batches larger than one average the errors; the program takes images one at a time in their order.",
    "Mode `standard` lets the reconstruction reach the encoder, as in any VAE. The paper says that ½‖x − x'‖² depends "
    "on the decoder alone; mode `paper` and rule `printed` follow it, and then nothing makes the code tell anything about the "
    "image: the divergence falls to 0 and all reconstructions are alike (posterior collapse).",
    "Rule `autograd` takes Adam and batches instead of plain gradient descent on one image at a time; with both it and "
    "`printed` networks have one ReLU layer of chosen width, or convolutions.",
    "The bounds of the likelihood read ½‖x − x'‖² as a normal of variance 1 for each value, and the prior as N(0, I).",
)
LOG_4 = math.log(4)
SCALARS = {
    "loss": Scalar("l, equation (3) or (12), nats an image; the discriminators move it too, so it need not fall", "neither"),
    "reconstruction": Scalar("½‖x − x'‖² an image"),
    "kl": Scalar("KL(N(μ, Σ) ‖ N(0, I)), nats an image; near 0 means the code is ignored", "neither"),
    "loss_encoder": Scalar("KL, ½‖x − x'‖² in mode `standard`, and log(1 − D(μ(x'))) where codes are judged"),
    "loss_decoder": Scalar("½‖x − x'‖², and log(1 − d(x')) where images are judged"),
    "loss_discriminator": Scalar("−log d(x) − log(1 − d(x')); log 4 = 1.386 when d can only guess", "neither", guide=LOG_4),
    "loss_encoding_discriminator": Scalar("−log D(μ(x)) − log(1 − D(μ(x'))); log 4 = 1.386 when D can only guess", "neither", guide=LOG_4),
    "d_real": Scalar("d(x), mean probability over real images; ½ when d can only guess", "neither", guide=0.5),
    "d_fake": Scalar("d(x'), mean probability over decoded images; ½ when d can only guess", "neither", guide=0.5),
    "code_d_real": Scalar("D(μ(x)), mean probability over means of real images", "neither", guide=0.5),
    "code_d_fake": Scalar("D(μ(x')), mean probability over means of decoded images", "neither", guide=0.5),
}  # fmt: skip


def card(variant: str) -> Card:
    """The card of "ava1" to "ava5"."""
    used = {"loss", "reconstruction", "kl", "loss_encoder", "loss_decoder"}
    used |= {"loss_discriminator", "d_real", "d_fake"} if variant in JUDGES["discriminator"] else set()
    used |= (
        {"loss_encoding_discriminator", "code_d_real", "code_d_fake"}
        if variant in JUDGES["encoding_discriminator"]
        else set()
    )
    return Card(
        title=f"{variant.upper()}: adversarial variational autoencoder",
        family="hybrid",
        paper="Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model",
        year=2024,
        link="https://doi.org/10.5772/acrt.20240003",
        summary=(
            "An encoder and a decoder as in a VAE, and a critic as in a GAN, all moving at once, each on its own loss: "
            "the VAE gives codes, the discriminator says how believable the result is. " + SUMMARIES[variant]
        ),
        equations=EQUATIONS[variant],
        departures=DEPARTURES,
        scalars={name: meaning for name, meaning in SCALARS.items() if name in used},
        presets={
            "quick": {"epochs": 15, "batch_size": 64},
            "default": {"epochs": 60, "batch_size": 64},
            "paper": {
                "rule": "authors", "rate": 0.1, "epochs": 1, "batch_size": 1, "latent_dim": 10, "hidden": 100,
                "critic_hidden": 100,
            },
        },
    )  # fmt: skip
