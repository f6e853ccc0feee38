from genlab import ui
from genlab.ui.explore_attributes import attributes
from genlab.ui.explore_controls import explorable_run, part_of_page
from genlab.ui.explore_plane import finger_plane
from genlab.ui.explore_styles import style_mixing
from genlab.ui.explore_walks import traversals, walk

WAYS = {
    "Walk": walk,
    "Plane": finger_plane,
    "Traverse": traversals,
    "Attributes": attributes,
    "Style mixing": style_mixing,
}
NEEDS = {
    "Walk": "decodes",
    "Plane": "decodes",
    "Traverse": "encodes",
    "Attributes": "encodes",
    "Style mixing": "mixes_styles",
}

ui.header(
    "Interpolate", "What lies between images: walk from one to another, along one dimension, or along an attribute."
)
run = explorable_run("decodes", purpose="turn codes into images")
ways = [name for name in WAYS if run.can(NEEDS[name])]
WAYS[part_of_page("What to do", ways, of=run.id)](run)
