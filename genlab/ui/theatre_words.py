"""What stands beside a play: titles, what is seen of each model, and what to try."""

from __future__ import annotations

MODELS = {"gan": "GAN", "vae": "VAE", "nice": "NICE", "realnvp": "RealNVP", "gmm": "Gaussian mixture"}
CLOUDS = {
    "ring": "Ring of Gaussians",
    "moons": "Two moons",
    "sine": "Wave",
    "spiral": "Spiral",
    "grid": "Grid of Gaussians",
    "drawn": "Drawn by hand",
}

DOTS = "Blue dots are the points to learn, orange diamonds what the model makes of the same 512 draws of noise in every step. "
NET = "The net is a grid of the latent square, laid such that every mesh holds as many draws: where meshes are small, samples are dense. "

SEEN = {
    "gan": DOTS + NET + (
        "The ground is the discriminator's verdict: blue where it takes a point for real, orange where for generated. "
        "On the full line it can only guess; on the broken line the best discriminator of all could only guess, "
        "$D^* = p/(p+q)$, with both densities smoothed in the same way. Short lines show where each sample would go to fool it. "
        "In slow motion a step has two acts: the discriminator moves first, then the generator answers."
    ),
    "vae": DOTS + NET + (
        "Grey rings are posteriors: one standard deviation around the codes of 24 points, decoded. The ground is the density "
        "that the bound of 8 codes vouches for; blotches far out are places of which the encoder has never seen anything. Samples are the decoder's means, so that they lie on a "
        "thinner line than the points, whose spread the likelihood's σ has to explain."
    ),
    "nice": DOTS + NET + (
        "The ground is the exact density, which the flow knows everywhere. It bends the plane without tearing it: the net may "
        "be squeezed thin between two parts of the cloud, but it never comes apart. NICE cannot change areas except by one scale "
        "for each direction, so that all meshes stay equally large but for the logits of its pixels."
    ),
    "realnvp": DOTS + NET + (
        "The ground is the exact density, which the flow knows everywhere. Its couplings stretch as well as shift, so that "
        "meshes may be small in one place and large in another, but the net never tears: bridges remain between parts of the cloud."
    ),
    "gmm": DOTS + (
        "A step is one round of EM over all points: each point is shared out among the components that may have made it, "
        "then each component moves to its share. Ellipses are one and two standard deviations, the stronger the more weight; "
        "the ground is the density of their sum. No round makes the points less likely."
    ),
}  # fmt: skip

TRY = {
    "gan": (
        "**Discriminator alone.** Pause early, choose *D only* and play: the full line nears the broken one, and D's loss nears its best.",
        "**Generator alone.** Let only G move: all samples run to where the verdict is bluest. The game needs both.",
        "**Mode collapse.** Take the loss *minimax*, raise the generator's rate to 0.01, and count the modes on the ring.",
        "**One number of noise.** Set the latent dimensions to 1: a curve has to pass through every mode.",
        "**Wasserstein.** The critic's slope is bounded, so that samples are pulled from anywhere; it has no probability to show.",
    ),
    "vae": (
        "**The price of a nat.** Raise β to 10: rings grow, and the net shrinks to the middle of the cloud.",
        "**A sharper likelihood.** Lower σ to 0.02: samples come nearer to the points, and rings shrink.",
        "**One dimension** for the spiral: does the curve follow it, or cut across?",
    ),
    "nice": (
        "**The ring**: a sheet with no hole has to make one. Look at the bridges between the modes.",
        "**More couplings** bend more: try 12 on the spiral, beside RealNVP with the same seed.",
    ),
    "realnvp": (
        "**Two moons**, then the spiral: how soon does the density follow?",
        "**The bound** on scales: at 0.3 the flow can hardly stretch, and behaves like NICE.",
    ),
    "gmm": (
        "**Too few, too many**: 4 components on the ring, then 16.",
        "**Another start**: begin at random and try several seeds. EM only climbs the hill that it starts on.",
        "**A spiral of bells**: 25 components, step by step.",
    ),
}  # fmt: skip
