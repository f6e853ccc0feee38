from genlab import ui
from genlab.ui.explore_contrast import helped_or_hurt
from genlab.ui.explore_controls import explorable_run, part_of_page
from genlab.ui.explore_latent import latent_map
from genlab.ui.explore_recognise import how_sure, look_up

WAYS = {"Look up": look_up, "How sure": how_sure, "Helped or hurt": helped_or_hurt, "Map": latent_map}

ui.header("Recognise", "Which known images show the same thing as a query, and how far that answer can be trusted.")
run = explorable_run("embeds", purpose="recognise what images show")
WAYS[part_of_page("What to see", WAYS, of=run.id)](run)
