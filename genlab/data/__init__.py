"""Image sets: sources, safe decoding, storage and batches."""

from genlab.data.imageset import Content, ImageSet, Refusal, SetInfo, open_set, write_set
from genlab.data.importing import import_images

__all__ = ["Content", "ImageSet", "Refusal", "SetInfo", "import_images", "open_set", "write_set"]
