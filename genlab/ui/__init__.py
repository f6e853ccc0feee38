"""What pages are made of: the only package that imports Streamlit."""

from genlab.ui.cards import model_card
from genlab.ui.forms import parameter_form
from genlab.ui.messages import boundary, empty_state, guarded, offer_undo
from genlab.ui.navigation import header, page, run_app
from genlab.ui.pictures import show_figure, show_images
from genlab.ui.routes import extra_routes, opening
from genlab.ui.state import choose_image_set, choose_run, get_models, get_workspace, remember

__all__ = [
    "boundary",
    "choose_image_set",
    "choose_run",
    "empty_state",
    "extra_routes",
    "get_models",
    "get_workspace",
    "guarded",
    "header",
    "model_card",
    "offer_undo",
    "opening",
    "page",
    "parameter_form",
    "remember",
    "run_app",
    "show_figure",
    "show_images",
]
