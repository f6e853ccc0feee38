from genlab import ui
from genlab.ui.studies import choose_study, follow, show_report

ui.header("Studies", "The papers' experiments, run again: what was measured beside what was printed.")
with ui.boundary():
    running = choose_study()
    follow(running)
    show_report(running)
