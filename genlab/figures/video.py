"""Films as MP4: H.264 with 4:2:0 colour, which browsers, phones and slides play, encoded by an ffmpeg beside genlab."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from genlab.core.errors import BadInputError

RATE = 30  # frames a second
REST = 0.5  # seconds more for the first and the last picture
QUALITY = 10  # constant rate factor of x264: 0 loses nothing, 23 is usual
SIDE = 288  # pixels: smaller pictures are enlarged towards it by an even factor, so that colours stay in their pixels
REMEDY = 'An MP4 needs ffmpeg: pip install "genlab[video]", or install ffmpeg itself; a film as .gif needs neither.'


def ffmpeg() -> str | None:
    """The program that encodes: imageio-ffmpeg's own, else the system's; None where there is neither."""
    with suppress(ImportError, RuntimeError):
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    return shutil.which("ffmpeg")


def even_factor(side: int) -> int:
    """By how much pictures with this longer side are enlarged.

    >>> even_factor(28), even_factor(64), even_factor(100), even_factor(256)
    (10, 4, 2, 1)
    """
    return max(1, 2 * (SIDE // (2 * side)))


def mp4(pictures: np.ndarray, *, hold: int, factor: int | None = None) -> bytes:
    """Pictures (N, H, W) or (N, H, W, 3) of 8 bits as a film: each for `hold` frames of 1/30 s, the ends half a second more.

    They are enlarged `factor` times (None: so that they can be seen), each pixel to a square, to even sides. Raises
    `BadInputError` where there is no ffmpeg, or one without H.264.
    """
    program = ffmpeg()
    if program is None:
        raise BadInputError(REMEDY)
    height, width = pictures.shape[1:3]
    factor = even_factor(max(height, width)) if factor is None else factor
    wide, tall = (side * factor + side * factor % 2 for side in (width, height))
    form = "gray" if pictures.ndim == 3 else "rgb24"
    given = ["-f", "rawvideo", "-pix_fmt", form, "-s", f"{width}x{height}", "-framerate", f"{RATE}/{hold}", "-i", "-"]
    filters = (
        f"scale={wide}:{tall}:flags=neighbor+accurate_rnd:in_range=full:out_range=tv:out_color_matrix=bt709,format=yuv420p,"
        f"fps={RATE},tpad=start_mode=clone:start_duration={REST}:stop_mode=clone:stop_duration={REST}"
    )
    colours = ["-color_range", "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    coded = ["-vf", filters, "-c:v", "libx264", "-crf", str(QUALITY), *colours, "-movflags", "+faststart"]
    with TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        command = [program, "-v", "error", "-nostdin", *given, *coded, "-fflags", "+bitexact", str(film)]
        done = subprocess.run(command, input=np.ascontiguousarray(pictures).tobytes(), capture_output=True, check=False)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().split("\n")[0]
            raise BadInputError(f"This ffmpeg could not make the film ({reason}); the one of genlab[video] can.")
        return film.read_bytes()
