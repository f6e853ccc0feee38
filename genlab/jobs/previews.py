"""Previews of a run in training: the same noise and the same images after every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genlab.core.capabilities import Decodes, Encodes, Samples
from genlab.core.events import Sampled
from genlab.figures.images import Images
from genlab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.training.loop import Training

COUNT = 36
COLUMNS = 12
MOST = 150  # pictures of one kind that a run keeps, spread over its epochs


class Previews:
    """Draws fixed-noise samples and fixed-image reconstructions without touching the training's own noise."""

    def __init__(self, run: RunDirectory, training: Training) -> None:
        self.run = run
        self.training = training
        epochs = training.settings.epochs
        self.every = max(training.settings.preview_every, -(-epochs // MOST))
        self.originals = self._fixed_images()

    def draw(self) -> list[Sampled]:
        """Write the pictures that the model can make, and tell of each."""
        import torch

        from genlab.core.seeding import aside

        model, learning = self.training.model, self.training.model.training
        model.eval()
        told = []
        with aside(self.training.settings.seed), torch.no_grad():
            if isinstance(model, Samples):
                generator = torch.Generator().manual_seed(self.training.settings.seed)
                told.append(self._save("samples", model.sample(COUNT, generator=generator)))
            if isinstance(model, Encodes) and isinstance(model, Decodes):
                if not (self.run.artefacts / "originals.png").exists():
                    told.append(self._save("originals", self.originals))
                told.append(self._save("reconstructions", model.decode(model.encode(self.originals).mean)))
        model.train(learning)
        return told

    def _fixed_images(self) -> Tensor:
        split = "validation" if self.training.data.count("validation") >= COLUMNS else "train"
        return next(iter(self.training.data.in_order(split, COUNT, self.training.device))).images

    def _save(self, what: str, images: Tensor) -> Sampled:
        step = self.training.step
        name = "originals.png" if what == "originals" else f"{what}-{step:08d}.png"
        array = images.float().cpu().numpy().astype(np.float32)
        Images(array).save(self.run.artefacts / name, columns=COLUMNS)
        return Sampled(step=step, epoch=self.training.epoch, what=what, path=f"artefacts/{name}")
