"""How much of its latent space a model uses."""

from __future__ import annotations

import numpy as np

from genlab.metrics.registry import Found, metric
from genlab.metrics.subject import Subject
from genlab.nn import usage


@metric(
    "active_units",
    "Active units",
    "Latent dimensions whose posterior mean changes from image to image, by a variance above 0.01.",
    r"A=\#\{u:\operatorname{Var}_x(\mathbb E_{q(z|x)}[z_u])>0.01\}",
    direction="neither",
    range=(0, None),
    unit="dimensions",
    needs=("encodes_normal",),
    source="Burda, Grosse & Salakhutdinov 2016, section 5.2",
)
def active_units(subject: Subject) -> Found:
    """Number of dimensions that carry something, of all D."""
    variance = subject.codes[0].var(0, dtype=np.float64)
    found = int((variance > usage.ACTIVE).sum())
    remark = f"{found} of {len(variance)} dimensions."
    details = {"dimensions": len(variance), "variance": variance.tolist()}
    baselines = {"all_dimensions": float(len(variance)), "ignored_code": 0.0}
    return Found(found, len(subject.images), baselines, details, remark)


@metric(
    "kl",
    "KL of the codes",
    "What a code tells about its image: mean KL of the posterior from the standard normal, summed over dimensions; "
    "near 0 the code is ignored.",
    r"\tfrac12\sum_j(\mu_j^2+\sigma_j^2-1-\log\sigma_j^2)",
    direction="neither",
    range=(0, None),
    unit="nats an image",
    needs=("encodes_normal",),
    source="Kingma & Welling 2014, appendix B",
)
def kl(subject: Subject) -> Found:
    """Total KL, and that of each dimension."""
    mean, log_var = subject.codes
    each = usage.kl(mean, np.asarray(log_var)).mean(0)
    return Found(each.sum(), len(subject.images), {"ignored_code": 0.0}, {"per_dimension": each.tolist()})
