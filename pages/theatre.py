from genlab import ui
from genlab.ui.toy_theatre import toy_theatre

ui.header(
    "Theatre", "Watch a model learn a cloud of points, step by step: here images have two pixels, so nothing is hidden."
)
toy_theatre()
