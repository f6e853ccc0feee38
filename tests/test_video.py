"""Films: decoded again, each of their frames is the picture that it came from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import genlab
from genlab.cli import root
from genlab.core.errors import BadInputError
from genlab.figures import video
from genlab.figures.images import Images

rng = np.random.default_rng(0)
with_ffmpeg = pytest.mark.skipif(video.ffmpeg() is None, reason="there is no ffmpeg; pip install imageio-ffmpeg")


def decoded(film: bytes, height: int, width: int) -> np.ndarray:
    """The frames (N, H, W, 3) of a film, by ffmpeg's own decoder."""
    command = [str(video.ffmpeg()), "-v", "error", "-i", "-", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-vf", "scale=flags=neighbor+accurate_rnd+full_chroma_int", "-"]
    raw = subprocess.run(command, input=film, capture_output=True, check=True).stdout
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, height, width, 3)


def said(film: bytes, folder: Path) -> str:
    """What ffmpeg says of a film."""
    (folder / "film.mp4").write_bytes(film)
    command = [str(video.ffmpeg()), "-hide_banner", "-i", str(folder / "film.mp4")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@with_ffmpeg
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (3, 64)])
def test_every_frame_is_the_picture_it_came_from(channels: int, side: int, tmp_path: Path) -> None:
    ends = rng.random((2, channels, side // 4, side // 4)).repeat(4, axis=2).repeat(4, axis=3)
    share = np.linspace(0, 1, 7)[:, None, None, None]
    images = Images((1 - share) * ends[0] + share * ends[1])
    film, factor = images.mp4_bytes(hold=3), video.even_factor(side)
    found = decoded(film, side * factor, side * factor)
    rest = round(video.RATE * video.REST)
    assert len(found) == 2 * rest + 3 * 7
    order = np.concatenate([np.zeros(rest, int), np.arange(7).repeat(3), np.full(rest, 6)])
    given = images.picture(0, scale=1).convert("RGB")
    assert given.size == (side, side)
    pictures = np.stack([np.asarray(images.picture(i, scale=factor).convert("RGB")) for i in range(7)])
    apart = np.abs(found.astype(int) - pictures[order])
    assert apart.mean() < 2
    assert np.quantile(apart, 0.999) <= 12
    nearest = [int(np.abs(pictures - frame).mean((1, 2, 3)).argmin()) for frame in found.astype(int)]
    assert nearest == order.tolist()
    told = said(film, tmp_path)
    assert "h264" in told
    assert "yuv420p(tv, bt709" in told
    assert "30 fps" in told
    assert film.index(b"moov") < film.index(b"mdat")


@with_ffmpeg
def test_odd_sides_become_even_and_a_film_runs_back(tmp_path: Path) -> None:
    images = Images(np.linspace(0, 1, 4)[:, None, None, None] * np.ones((4, 3, 301, 203)))
    images.mp4(tmp_path / "deep" / "walk.mp4", hold=1, bounce=True)
    found = decoded((tmp_path / "deep" / "walk.mp4").read_bytes(), 302, 204)
    levels = found[15:-15, 0, 0, 0]
    expected = [0, 85, 170, 255, *[255] * 15, 170, 85, 0]  # half a second at the turn
    assert len(levels) == len(expected)
    assert np.abs(levels - np.array(expected)).max() <= 2
    assert np.abs(found[:, :301, :203].astype(int) - found[:, :1, :1]).max() <= 2
    with pytest.raises(BadInputError, match="ask for at least one"):
        Images(np.zeros((0, 1, 8, 8))).mp4_bytes()


@with_ffmpeg
def test_the_command_line_writes_a_walk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GENLAB_HOME", str(tmp_path / "lab"))
    file = tmp_path / "walk.mp4"
    assert root.run(["interpolate", "digits-plane", "0", "500", "--steps", "5", "-o", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 5
    run = genlab.Workspace(tmp_path / "lab").runs["digits-plane"]
    walk = run.interpolate(run.images.tensor([0]), run.images.tensor([500]), steps=5)
    found = decoded(file.read_bytes(), 280, 280)[15:-15:3, 5::10, 5::10, 0]
    assert np.abs(found.astype(int) - walk.uint8).mean() < 3


def test_without_ffmpeg_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images = Images(np.zeros((2, 1, 8, 8)))
    monkeypatch.setattr(video, "ffmpeg", lambda: None)
    with pytest.raises(BadInputError, match=r'pip install "genlab\[video\]"'):
        images.save(tmp_path / "walk.mp4")
    poor = tmp_path / "ffmpeg"
    poor.write_text("#!/bin/sh\ncat > /dev/null\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    poor.chmod(0o755)
    monkeypatch.setattr(video, "ffmpeg", lambda: str(poor))
    with pytest.raises(BadInputError, match=r"Unknown encoder libx264\); the one of genlab\[video\] can"):
        images.save(tmp_path / "walk.mp4")
    assert not (tmp_path / "walk.mp4").exists()
