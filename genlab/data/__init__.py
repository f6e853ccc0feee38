"""Image sets: sources, safe decoding, storage and batches."""

from genlab.data.imageset import Content, ImageSet, Refusal, SetInfo, open_set, write_set
from genlab.data.importing import decode_images, import_images

__all__ = ["Content", "ImageSet", "Refusal", "SetInfo", "decode_images", "import_images", "open_set", "write_set"]
