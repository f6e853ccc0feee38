from genlab import ui
from genlab.ui.explore_controls import explorable_run, part_of_page
from genlab.ui.explore_sample import sampler
from genlab.ui.explore_translate import translator

WAYS = {"samples": ("Draw", sampler), "translates": ("Translate", translator)}

ui.header(
    "Sample",
    "Draw new images from a trained model, or let one that learned from two image sets translate between them.",
)
run = explorable_run(tuple(WAYS), purpose="draw or translate images")
ways = dict(way for ability, way in WAYS.items() if run.can(ability))
way = part_of_page("What to do", ways, of=run.id) if len(ways) > 1 else next(iter(ways))
ways[way](run)
