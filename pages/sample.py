from genlab import ui
from genlab.ui.explore_controls import explorable_run
from genlab.ui.explore_sample import sampler

ui.header("Sample", "Draw new images from a trained model, by class where it knows classes.")
sampler(explorable_run("samples", purpose="draw images"))
