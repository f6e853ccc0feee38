"""What several models share: blocks, distributions, likelihoods, adversarial losses."""
