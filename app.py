"""The laboratory in the browser: `genlab app`, or `streamlit run app.py`."""

from pathlib import Path

import streamlit as st

from genlab import ui

if __name__ == "__main__":  # as Streamlit runs it for a visitor
    ui.run_app(Path(__file__).parent / "pages")
else:  # as the server imports it, once
    app = st.App(__file__, routes=ui.extra_routes(), lifespan=ui.opening)
