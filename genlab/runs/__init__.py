"""The run directory: its configuration, events, state, checkpoints and artefacts; readers and the single writer."""
