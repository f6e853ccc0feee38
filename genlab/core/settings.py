"""How long, how fast and where to train: the settings that every model shares."""

from __future__ import annotations

from typing import Literal

from genlab.core.parameters import Parameters, parameter


class TrainingSettings(Parameters):
    """Budget, batch, seed and device of one run; the model's own parameters stand beside them."""

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
