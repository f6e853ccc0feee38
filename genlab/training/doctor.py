"""Watches over a training: measures its model now and then, asks the detectors, and tells each disease once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.core.batch import Batch, Batches
from genlab.core.capabilities import DrawsCodes, Fits, Samples
from genlab.core.events import Diagnosed
from genlab.core.model import Model
from genlab.core.seeding import aside, derived_seed
from genlab.core.settings import TrainingSettings
from genlab.nn import usage
from genlab.training.diagnosis import DETECTORS, LONG, Look, objective, plays

COUNT = 64  # images that are encoded, and samples that are drawn, at a look
COST = 0.02  # of the training's work, at most, that looks may take where the budget has room for `FEWEST` of them
FEWEST = 10
RECOVERY = 8  # epochs without a sign of a disease before it counts as cured, so that noise does not tell it twice
MEMORY = 12  # last epochs that are remembered


class Doctor:
    """Looks at a model after its epochs, with noise of its own.

    `visit` looks; what it found waits in `untold` until `tell` is asked, and is part of `state`, so that a run that
    was stopped between the two tells it when it goes on, and tells nothing twice.
    """

    def __init__(self, model: Model, data: Batches, settings: TrainingSettings, device: torch.device) -> None:
        self.model, self.data, self.settings, self.device = model, data, settings, device
        self.values = {**settings.model_dump(exclude=idle(model)), **model.parameters_used.model_dump()}
        self.every = looks_apart(data.count("train"), settings.epochs)
        self.looks: list[Look] = []
        self.present: dict[str, int] = {}  # disease -> epochs in a row without a sign of it
        self.untold: list[Diagnosed] = []
        self._batch: Batch | None = None

    def visit(self, step: int, epoch: int, scalars: Mapping[str, float], validation: Mapping[str, float]) -> None:
        """Take in a finished epoch, and ask every detector."""
        measured = self._measure(plays(scalars)) if epoch % self.every == 0 else {}
        self.looks.append(Look(epoch, dict(scalars), dict(validation), measured, step))
        for disease, detect in DETECTORS.items():
            found = detect(self.looks, self.values)
            where = {"step": step, "epoch": epoch, "disease": disease}
            if found and disease not in self.present:
                self.untold.append(Diagnosed(**where, **found._asdict()))
            if found:
                self.present[disease] = 0
            elif disease in self.present:
                self._recover(disease, where)
        self._forget()

    def _recover(self, disease: str, where: Mapping[str, Any]) -> None:
        self.present[disease] += 1
        if self.present[disease] >= RECOVERY:
            del self.present[disease]
            self.untold.append(Diagnosed(**where, message=f"No sign of {disease} any more.", cured=True))

    def tell(self) -> Iterator[Diagnosed]:
        """What was found and not told yet, each once."""
        while self.untold:
            yield self.untold.pop(0)

    def _measure(self, game: bool) -> dict[str, float]:
        """How the latent space is used, and how far apart samples of a game's generator lie, on a few images.

        Of a model that is fitted: how many images are held out, and the values of an image.
        """
        if isinstance(self.model, Fits):
            return {"held_out": float(self.data.count("validation")), "values": float(self.model.shape.values)}
        encodes, samples = isinstance(self.model, DrawsCodes), game and isinstance(self.model, Samples)
        if not encodes and not samples:
            return {}
        self.model.eval()
        with aside(derived_seed(self.settings.seed, 4)), torch.no_grad():
            measured = measure(self.model, self._few_images(), samples=samples)
        self.model.train()
        return measured

    def _few_images(self) -> Batch:
        if self._batch is None:
            batches = self.data.epoch(derived_seed(self.settings.seed, 4), 0, COUNT, self.device)
            self._batch = next(iter(batches))
        return self._batch

    def _forget(self) -> None:
        """Keep the first epoch, the one with the best validation, the last ones, and the last that were measured."""
        term = objective(self.looks[0].scalars)
        places = range(len(self.looks))
        best = min(places, key=lambda place: self.looks[place].validation.get(term, math.inf))
        measured = [place for place in places if self.looks[place].measured]
        kept = {0, best, *places[-MEMORY:], *measured[-LONG:]}
        self.looks = [self.looks[place] for place in sorted(kept)]

    def state(self) -> dict[str, Any]:
        """Plain values that a checkpoint keeps."""
        return {
            "looks": [look._asdict() for look in self.looks],
            "present": dict(self.present),
            "untold": [event.model_dump() for event in self.untold],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; one from before there were diagnoses has none."""
        self.looks = [Look(**look) for look in state.get("looks", ())]
        self.present = dict(state.get("present", {}))
        self.untold = [Diagnosed(**event) for event in state.get("untold", ())]


def idle(model: Model) -> set[str]:
    """Settings that do nothing for a model, and that no remedy should name."""
    return {"early_stopping", "augmentation"} if isinstance(model, Fits) else set()


def looks_apart(images: int, epochs: int) -> int:
    """Epochs from one look to the next: as many as hold looks to their share of the work, but ten looks fit in a run.

    A look costs two passes forward over `COUNT` images, each a third of a training step's work on as many.

    >>> looks_apart(5000, 30), looks_apart(500, 30), looks_apart(40, 300)
    (1, 3, 30)
    """
    affordable = -(-2 * COUNT // 3) / COST / max(1, images)
    return max(1, min(round(affordable + 0.5), epochs // FEWEST))


def measure(model: Model, batch: Batch, *, samples: bool) -> dict[str, float]:
    """What a `Look` holds of a model in evaluation mode: how it encodes the images of a batch, and how it draws as many."""
    spread = mean_distance(batch.images)
    measured = {"spread": spread}
    if isinstance(model, DrawsCodes):
        codes = model.drawn_from(batch)
        mean, log_var = (np.asarray(part.cpu(), np.float64) for part in (codes.mean, codes.log_var) if part is not None)
        measured["active"] = float((mean.var(0) > usage.ACTIVE).sum())
        measured["units"] = float(mean.shape[1])
        measured["kl"] = float(usage.kl(mean, log_var).sum(1).mean())
    if samples and isinstance(model, Samples):
        drawn = model.sample(len(batch.images), generator=torch.Generator().manual_seed(0))
        measured["diversity"] = mean_distance(drawn) / max(spread, 1e-9)
    return measured


def mean_distance(images: Tensor) -> float:
    """Mean over all pairs of the root mean square difference of their values, in [0, 1].

    >>> mean_distance(torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)]))
    1.0
    """
    flat = images.flatten(1).float()
    return float(torch.pdist(flat).mean() / flat.shape[1] ** 0.5) if len(flat) > 1 else 0.0
