"""What of an image survives being translated to the other kind and back.

References:
    [1] Zhu, Park, Isola & Efros, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, 2017, (2).
"""

from __future__ import annotations

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject


@metric(
    "cycle_error",
    "Error there and back",
    "Mean absolute difference between images of the first set and what they are after translation there and back; pixels "
    "lie in [0, 1]. A model that translates nothing at all has 0: read it beside how much a translation changes.",
    r"\tfrac{1}{N\,CHW}\sum|x-F(G(x))|",
    direction="lower",
    range=(0, 1),
    needs=("translates",),
    source="Zhu, Park, Isola & Efros 2017, (2)",
)
def cycle_error(subject: Subject) -> Found:
    """[1] (2) of the first set, against what the mean training image would leave; how much one way changes is a detail."""
    from genlab.nn.inference import through

    there = through(subject.model, subject.model.translate, subject.images)
    again = through(subject.model, lambda batch: subject.model.translate(batch, back=True), there)
    mean = subject.training.mean(0, dtype=np.float64)
    changed = float(np.abs(there - subject.images).mean(dtype=np.float64))
    baselines = {"mean_image": float(np.abs(mean - subject.images).mean())}
    remark = f"One way changes a pixel value by {changed:.3g} on average."
    value = np.abs(again - subject.images).mean(dtype=np.float64)
    return Found(value, len(subject.images), baselines, {"changed_one_way": changed}, remark)
