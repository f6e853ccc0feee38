"""The laboratory in the browser: `genlab app`, or `streamlit run app.py`."""

from pathlib import Path

from genlab import ui

ui.run_app(Path(__file__).parent / "pages")
