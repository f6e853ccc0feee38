from genlab import ui
from genlab.ui.explore_controls import explorable_run
from genlab.ui.explore_radii import good_radii
from genlab.ui.explore_triplets import note, triplet_lab

ui.header(
    "Triplets", "Around one image, sample others that should count as the same (positive) and as different (negative)."
)
run = explorable_run("encodes_normal", "decodes", purpose="sample triplets")
note()
triplet_lab(run)
good_radii(run)
