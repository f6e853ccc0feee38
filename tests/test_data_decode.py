"""Decoding: every mode of pixels keeps its values, and hostile bytes are refused in words."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from genlab.core.errors import BadInputError
from genlab.data.decode import MOST_PIXELS, decode, open_image, upright_size
from genlab.data.fitting import fit_image, parse_size


def saved(image: Image.Image, format: str = "PNG", **options) -> BytesIO:
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream


def test_grey_and_colour_png_keep_their_very_pixels():
    random = np.random.default_rng(0)
    for shape, mode in (((7, 5), "L"), ((7, 5, 3), "RGB")):
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        image = decode(saved(Image.fromarray(pixels)))
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.array([[0, 255, 257, 32768, 65278, 65535]], dtype=np.uint16)
    decoded = np.asarray(decode(saved(Image.fromarray(values))))
    np.testing.assert_array_equal(decoded, [[0, 1, 1, 128, 254, 255]])


@pytest.mark.parametrize(("high", "expected"), [(1.0, [0, 128, 255]), (200.0, [0, 100, 200])])
def test_float_pixels_are_read_in_the_unit_or_the_byte_range(high, expected):
    values = np.array([[0.0, high / 2, high]], dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(decode(saved(Image.fromarray(values), "TIFF")))[0], expected)


def test_float_pixels_outside_any_known_range_are_refused():
    stream = saved(Image.fromarray(np.array([[-3.0, 900.0]], dtype=np.float32)), "TIFF")
    with pytest.raises(BadInputError, match="outside the range"):
        decode(stream)


def test_transparency_is_composited_on_the_background():
    pixels = np.array([[[255, 0, 0, 0], [255, 0, 0, 51], [255, 0, 0, 255]]], dtype=np.uint8)
    white = np.asarray(decode(saved(Image.fromarray(pixels))))[0]
    np.testing.assert_array_equal(white, [[255, 255, 255], [255, 204, 204], [255, 0, 0]])
    black = np.asarray(decode(saved(Image.fromarray(pixels)), background="black"))[0]
    np.testing.assert_array_equal(black, [[0, 0, 0], [51, 0, 0], [255, 0, 0]])


def test_grey_with_alpha_stays_grey():
    pixels = np.array([[[0, 0], [0, 51], [100, 255]]], dtype=np.uint8)
    image = decode(saved(Image.fromarray(pixels, "LA")))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), [[255, 204, 100]])


def test_palette_with_a_transparent_entry():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    opaque = np.asarray(decode(saved(image)))
    np.testing.assert_array_equal(opaque[0], [[10, 20, 30], [200, 100, 50]])
    composited = np.asarray(decode(saved(image, transparency=0)))
    np.testing.assert_array_equal(composited[0], [[255, 255, 255], [200, 100, 50]])


def test_cmyk_becomes_its_colours():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    tiff = np.asarray(decode(saved(image, "TIFF")))
    np.testing.assert_array_equal(tiff[0, 0], [255, 0, 0])
    jpeg = np.asarray(decode(saved(image, "JPEG", quality=100))).astype(int)
    assert np.abs(jpeg[4, 4] - [255, 0, 0]).max() <= 4


def test_black_and_white_becomes_grey():
    decoded = np.asarray(decode(saved(Image.fromarray(np.array([[True, False]])))))
    np.testing.assert_array_equal(decoded, [[255, 0]])


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    stream = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(np.asarray(decode(stream))[0, 0], [255, 0, 0])


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied(format):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    options = {"exif": exif, **({"lossless": True} if format == "WEBP" else {})}
    stream = saved(Image.fromarray(pixels), format, **options)
    assert upright_size(open_image(stream)) == (4, 2)
    np.testing.assert_array_equal(np.asarray(decode(stream)), np.rot90(pixels, k=-1))


def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same():
    y, x = np.mgrid[0:1200, 0:1600]
    pixels = np.stack([x * 255 / 1599, y * 255 / 1199, (x + y) * 255 / 2798], axis=-1).astype(np.uint8)
    stream = saved(Image.fromarray(pixels), "JPEG", quality=95)
    whole, part = decode(stream), decode(stream, at_least=(32, 32))
    assert part.width < whole.width
    difference = fit_image(whole, (32, 32)).astype(int) - fit_image(part, (32, 32))
    assert np.abs(difference).max() <= 3


def test_text_named_png_is_refused():
    with pytest.raises(BadInputError, match="is not an image"):
        decode(BytesIO(b"dear diary, " * 100))


def test_empty_file_and_heic_are_refused_in_their_own_words():
    with pytest.raises(BadInputError, match="is empty"):
        decode(BytesIO(b""))
    with pytest.raises(BadInputError, match="HEIC"):
        decode(BytesIO(b"\0\0\0\x18ftypheic" + bytes(100)))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_truncated_files_are_refused(format):
    random = np.random.default_rng(1)
    whole = saved(Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)), format).getvalue()
    for at_least in (None, (8, 8)):
        with pytest.raises(BadInputError, match=r"cut short|not an image"):
            decode(BytesIO(whole[: len(whole) // 2]), at_least=at_least)


def test_postscript_is_not_opened():
    eps = saved(Image.new("RGB", (4, 4)), "EPS")
    with pytest.raises(BadInputError, match="is not an image in a format"):
        decode(eps)


@pytest.mark.parametrize("side", [8000, 20000])
def test_too_many_pixels_are_refused_before_they_are_decoded(side):
    stream = saved(Image.new("1", (side, side)))
    assert side * side > MOST_PIXELS
    assert len(stream.getvalue()) < 100_000
    with pytest.raises(BadInputError, match="50,000,000"):
        decode(stream)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(64, (64, 64)), ("64", (64, 64)), ("64x100", (64, 100)), (" 28 × 30 ", (28, 30)), ((8, 9), (8, 9))],
)
def test_sizes_that_are_understood(size, expected):
    assert parse_size(size) == expected


@pytest.mark.parametrize("size", ["", "big", "64x", "1x2x3", "-5", 2, 5000, (3, 64), (1, 2, 3), 6.5])
def test_sizes_that_are_refused(size):
    with pytest.raises(BadInputError, match="Size"):
        parse_size(size)


def test_crop_keeps_the_middle_pad_keeps_all_stretch_moves():
    pixels = np.zeros((20, 60, 3), dtype=np.uint8)
    pixels[:, :20], pixels[:, 20:40], pixels[:, 40:] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    image = Image.fromarray(pixels)
    crop, pad, stretch = (fit_image(image, (20, 20), fit) for fit in ("crop", "pad", "stretch"))
    assert crop.shape == pad.shape == stretch.shape == (3, 20, 20)
    np.testing.assert_array_equal(crop[:, 10, 10], (0, 200, 0))
    np.testing.assert_array_equal(crop[:, 10, 2], (0, 200, 0))
    np.testing.assert_array_equal(stretch[:, 10, 2], (200, 0, 0))
    np.testing.assert_array_equal(pad[:, 10, 2], (200, 0, 0))


def test_pad_fills_with_the_colour_of_the_border():
    pixels = np.full((20, 40, 3), (10, 90, 170), dtype=np.uint8)
    pixels[5:15, 10:30] = 255
    padded = fit_image(Image.fromarray(pixels), (40, 40), "pad")
    assert padded[:, :10].reshape(3, -1).T.tolist() == [[10, 90, 170]] * 400
    np.testing.assert_array_equal(padded[:, 10:30], np.moveaxis(pixels, -1, 0))


def test_an_image_that_has_the_size_is_not_resampled():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12), dtype=np.uint8)
    for fit in ("crop", "pad", "stretch"):
        np.testing.assert_array_equal(fit_image(Image.fromarray(pixels), (9, 12), fit)[0], pixels)


def test_resizing_averages_over_pixels():
    pixels = np.tile(np.array([[0, 255], [255, 0]], dtype=np.uint8), (32, 32))
    shrunk = fit_image(Image.fromarray(pixels), (8, 8), "stretch").astype(int)
    assert np.abs(shrunk - 127.5).max() < 8
