"""The one loop: model + batches + settings -> a stream of events."""
