"""How often a model that gives a posterior over classes is right."""

from __future__ import annotations

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject


@metric(
    "accuracy",
    "Classification accuracy",
    "Share of held-out images whose most probable class is their label.",
    r"\tfrac1N\sum_i[\arg\max_y p(y|x_i)=y_i]",
    direction="higher",
    range=(0, 1),
    needs=("classifies",),
    source="Standard definition",
    needs_labels=True,
)
def accuracy(subject: Subject) -> Found:
    """Share of right answers, against always naming the most frequent class."""
    from genlab.nn.inference import through

    labels = np.asarray(subject.labels)
    given = through(subject.model, subject.model.classify, subject.images).argmax(1)
    right = given == labels
    share = float(right.mean())
    majority = float(np.bincount(labels).max() / len(labels))
    error = float(np.sqrt(share * (1 - share) / len(labels)))
    return Found(share, len(labels), {"largest_class": majority}, {"right": int(right.sum()), "standard_error": error})
