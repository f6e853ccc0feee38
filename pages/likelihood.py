from genlab import ui
from genlab.ui.explore_controls import explorable_run, part_of_page
from genlab.ui.explore_likelihood import fill_in, how_probable, which_class

WAYS = {"How probable": how_probable, "Fill in": fill_in, "Which class": which_class}
NEEDED = {"Fill in": "imputes", "Which class": "classifies"}

ui.header(
    "Likelihood",
    "How probable a model finds images: which are usual to it, what belongs where pixels are missing, and which class it sees.",
)
run = explorable_run(("scores", "bounds"), purpose="say how probable an image is")
ways = [way for way in WAYS if way not in NEEDED or run.can(NEEDED[way])]
way = part_of_page("What to ask", ways, key="ask", of=run.id)
WAYS[way if way in ways else ways[0]](run)
