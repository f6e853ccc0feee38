"""Measures of models: each with its meaning, its direction, its sample size and its baselines.

>>> import numpy as np
>>> balance_metric(np.zeros((3, 4, 4)), np.zeros((2, 3, 4, 4)))
0.0
"""

from genlab.metrics import (
    classification,
    disentanglement,
    fidelity,
    latent,
    likelihood,
    memorisation,
    paths,
    perceptual,
    recognition,
    reconstruction,
    sampling,
    translation,
    two_sample,
)
from genlab.metrics.balance import balance_baselines, balance_metric, balance_report
from genlab.metrics.registry import METRICS, Measurement, Metric, applicable, evaluate
from genlab.metrics.subject import Subject

__all__ = [
    "METRICS",
    "Measurement",
    "Metric",
    "Subject",
    "applicable",
    "balance_baselines",
    "balance_metric",
    "balance_report",
    "classification",
    "disentanglement",
    "evaluate",
    "fidelity",
    "latent",
    "likelihood",
    "memorisation",
    "paths",
    "perceptual",
    "recognition",
    "reconstruction",
    "sampling",
    "translation",
    "two_sample",
]
