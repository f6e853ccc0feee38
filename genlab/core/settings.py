"""How long, how fast and where to train: the settings that every model shares."""

from __future__ import annotations

from typing import Literal

from genlab.core.parameters import Parameters, parameter


class TrainingSettings(Parameters):
    """Budget, batch, seed and device of one run; the model's own parameters stand beside them.

    Values of both are given side by side, so that no model may call a parameter like a setting. That is why the decay
    here is `decoupled_weight_decay` (an autoencoder's `weight_decay` is a term of its loss) and the warm-up `rate_warmup`.
    """

    epochs: int = parameter(10, "Passes over the training images (or iterations of EM).", minimum=1, maximum=100_000)
    batch_size: int = parameter(128, "Images per optimisation step.", minimum=1, maximum=8192, log=True)
    seed: int = parameter(
        0, "Fixes the initial weights, the order of the images and all noise.", minimum=0, maximum=2**31 - 1
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = parameter(
        "auto", "Where to compute; auto takes a GPU when there is one.", advanced=True
    )
    precision: Literal["auto", "float32", "bfloat16"] = parameter(
        "auto", "Mixed precision in bfloat16 where it pays; auto uses it on recent GPUs.", advanced=True
    )
    gradient_clip: float = parameter(
        0.0, "Largest norm of each player's gradient; 0 leaves it alone.", minimum=0, maximum=1e6, advanced=True
    )
    schedule: Literal["constant", "step", "cosine"] = parameter(
        "constant",
        "How learning rates fall: not at all, in steps, or along half a cosine over all epochs.",
        advanced=True,
    )
    rate_warmup: float = parameter(
        0.0,
        "Epochs over which learning rates first grow to their full value.",
        minimum=0,
        maximum=10_000,
        advanced=True,
    )
    step_epochs: int = parameter(
        10, "Step schedule: epochs between two falls.", minimum=1, maximum=100_000, advanced=True
    )
    step_factor: float = parameter(
        0.5,
        "Step schedule: what learning rates are multiplied by at each fall.",
        minimum=0.001,
        maximum=1,
        advanced=True,
    )
    decoupled_weight_decay: float = parameter(
        0.0,
        "Part of every weight that is taken off in each step, times the learning rate (AdamW); 0 for none.",
        minimum=0,
        maximum=10,
        advanced=True,
    )
    weight_average: float = parameter(
        0.0,
        "Decay of a moving average of all weights, which the run then measures, shows and keeps in their place; 0 for none.",
        minimum=0,
        maximum=0.99999,
        advanced=True,
    )
    augmentation: Literal["none", "mirror", "shift", "affine", "mirror_affine", "photograph"] = parameter(
        "none",
        "How training images are varied, for small sets: mirrored left to right (not for letters and digits), shifted, "
        "or shifted, turned and scaled; photograph does all of it, and adds perspective and a slight tint.",
        advanced=True,
    )
    augmentation_amount: float = parameter(
        0.1,
        "How far: the largest shift as a part of the side, change of scale and of colour, and turn as a part of a quarter turn.",
        minimum=0,
        maximum=0.5,
        advanced=True,
    )
    early_stopping: int = parameter(
        0,
        "Stop after this many epochs without a better validation loss; 0 never stops.",
        minimum=0,
        maximum=100_000,
        advanced=True,
    )
    preview_every: int = parameter(
        1, "Epochs between two previews (samples and reconstructions).", minimum=1, maximum=100_000, advanced=True
    )
    checkpoint_every: int = parameter(
        1,
        "Epochs between two checkpoints; more when saving would take over a tenth of the time.",
        minimum=1,
        maximum=100_000,
        advanced=True,
    )
