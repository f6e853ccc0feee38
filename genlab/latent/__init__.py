"""Latent space: projections, walks, traversals and the triplet sampler."""

from genlab.latent.triplets import TRIPLET_PRESETS, TripletSettings, sample_triplet_codes

__all__ = ["TRIPLET_PRESETS", "TripletSettings", "sample_triplet_codes"]
