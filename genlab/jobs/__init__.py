"""Queue, index, executors and the worker: how a run gets trained outside of whoever asked for it."""
