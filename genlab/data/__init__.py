"""Image sets: sources, safe decoding, storage and batches."""
