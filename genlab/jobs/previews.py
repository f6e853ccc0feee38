"""Previews of a run in training: the same noise and the same images after every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genlab.core.capabilities import Decodes, Encodes, Samples, Translates
from genlab.core.events import Sampled
from genlab.figures.images import Images
from genlab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from torch import Tensor

    from genlab.core.batch import Batch
    from genlab.training.loop import Training

COUNT = 36
COLUMNS = 12
MOST = 150  # pictures of one kind that a run keeps, spread over its epochs


class Previews:
    """Draws samples of fixed noise, reconstructions and translations of fixed images, with noise of its own."""

    def __init__(self, run: RunDirectory, training: Training) -> None:
        self.run = run
        self.training = training
        epochs = training.settings.epochs
        self.every = max(training.settings.preview_every, -(-epochs // MOST))
        fixed = self._fixed_images()
        self.originals, self.others = fixed.images, fixed.second

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
            if isinstance(model, Translates) and self.others is not None:
                told.append(self._translated(model, "translations", self.originals, back=False))
                told.append(self._translated(model, "translations_back", self.others, back=True))
        model.train(learning)
        return told

    def _translated(self, model: Translates, what: str, images: Tensor, *, back: bool) -> Sampled:
        """Three rows: images of one set, these as of the other set, and these turned back again."""
        import torch

        given = images[:: max(1, len(images) // COLUMNS)][:COLUMNS]
        there = model.translate(given, back=back)
        rows = torch.cat([given, there, model.translate(there, back=not back)])
        return self._save(what, rows, columns=len(given))

    def _fixed_images(self) -> Batch:
        split = "validation" if self.training.data.count("validation") >= COLUMNS else "train"
        return self.training.data.spread(split, COUNT, self.training.device)

    def _save(self, what: str, images: Tensor, columns: int = COLUMNS) -> Sampled:
        step = self.training.step
        name = "originals.png" if what == "originals" else f"{what}-{step:08d}.png"
        array = images.float().cpu().numpy().astype(np.float32)
        Images(array).save(self.run.artefacts / name, columns=columns)
        return Sampled(step=step, epoch=self.training.epoch, what=what, path=f"artefacts/{name}")
