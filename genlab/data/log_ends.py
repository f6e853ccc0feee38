"""Log ends: procedural cross-sections of logs, each log photographed at two stations.

Everything is computed in float64, so that rounding to bytes gives the same pixels on every machine.
"""

from __future__ import annotations

import numpy as np

from genlab.data.imageset import Content

KINDS = ("birch", "oak", "pine", "spruce")
STATIONS = ("forest", "sawmill")
SIDE = 64
SHOTS = 2  # photographs of a log at each station
_FINE = 2
_AT_ONCE = 8
_CRACKS, _KNOTS, _WAVES, _RINGS = 4, 2, 5, 24

# light wood, dark rings, heartwood, bark: one row a kind, in the order of KINDS
_PALETTE = np.array(
    [
        [[0.93, 0.82, 0.64], [0.72, 0.55, 0.37], [0.88, 0.74, 0.54], [0.80, 0.78, 0.74]],
        [[0.80, 0.64, 0.44], [0.45, 0.30, 0.17], [0.56, 0.37, 0.21], [0.27, 0.22, 0.18]],
        [[0.92, 0.75, 0.48], [0.62, 0.36, 0.15], [0.80, 0.50, 0.27], [0.47, 0.28, 0.17]],
        [[0.95, 0.87, 0.70], [0.66, 0.47, 0.27], [0.93, 0.83, 0.64], [0.36, 0.28, 0.23]],
    ]
)
# two colours of the ground, tint of the light; one row a station, in the order of STATIONS
_GROUND = np.array([[[0.16, 0.17, 0.09], [0.33, 0.29, 0.17]], [[0.46, 0.47, 0.49], [0.60, 0.61, 0.62]]])
_LIGHT = np.array([[1.02, 0.93, 0.80], [0.95, 1.0, 1.07]])


def log_ends(logs: int = 250, *, seed: int = 0) -> Content:
    """Colour 64x64 photographs of `logs` made-up logs, two at each of two stations.

    What a log keeps: kind, outline, pith, rings, cracks, knots and colour. What a photograph changes: rotation, crop,
    light, dirt and ground. Factors: identity (0 … logs − 1), station, rotation in radians, rings. The class
    is the kind whose colours it imitates. A tenth of the logs is held out with all their photographs.

    >>> content = log_ends(2)
    >>> content.images.shape, content.factors["identity"].tolist()
    ((8, 3, 64, 64), [0, 0, 0, 0, 1, 1, 1, 1])
    """
    random = np.random.default_rng(seed)
    log = _draw_logs(random, logs)
    identity = np.repeat(np.arange(logs), SHOTS * len(STATIONS))
    station = np.tile(np.repeat(np.arange(len(STATIONS)), SHOTS), logs)
    view = _draw_views(random, station)
    images = np.empty((len(identity), 3, SIDE, SIDE), dtype=np.uint8)
    for start in range(0, len(identity), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        seen = {name: values[part] for name, values in view.items()}
        images[part] = _photograph({name: values[identity[part]] for name, values in log.items()}, seen)
    factors = {"identity": identity, "station": station, "rotation": view["rotation"], "rings": log["rings"][identity]}
    return Content(images, log["kind"][identity], KINDS, factors, identity >= logs - round(logs / 10))


def _draw_logs(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """What makes each log itself; lengths in units of its mean radius."""
    kind = random.permutation(np.arange(count) % len(KINDS))
    pith_angle, pith_far = random.uniform(0, 2 * np.pi, count), random.uniform(0.0, 0.28, count)
    few_cracks = random.uniform(size=(count, _CRACKS)) < random.uniform(0.0, 0.8, (count, 1))
    return {
        "kind": kind,
        "palette": np.clip(_PALETTE[kind] * random.uniform(0.9, 1.08, (count, 4, 1)), 0, 1),
        "pith": np.stack([pith_far * np.cos(pith_angle), pith_far * np.sin(pith_angle)], axis=1),
        "outline": random.normal(0, 1, (count, 2, 5)) * np.array([0.05, 0.03, 0.018, 0.012, 0.008]),
        "bark": random.uniform(0.05, 0.13, count),
        "rings": random.uniform(5, 11, count),
        "ring_warp": random.uniform(-0.8, 0.8, (count, 3)),
        "ring_tone": random.uniform(0.45, 1.0, (count, _RINGS)),
        "heart": random.uniform(0.3, 0.65, count) * (random.uniform(size=count) < 0.8),
        "crack_angle": random.uniform(0, 2 * np.pi, (count, _CRACKS)),
        "crack_reach": random.uniform(0.35, 1.0, (count, _CRACKS)) * few_cracks,
        "crack_width": random.uniform(0.015, 0.05, (count, _CRACKS)),
        "knot_place": random.uniform(-0.6, 0.6, (count, _KNOTS, 2)),
        "knot_size": random.uniform(0.07, 0.16, (count, _KNOTS)) * (random.uniform(size=(count, _KNOTS)) < 0.4),
        "wave": random.normal(0, 4.0, (count, _WAVES, 2)),
        "wave_phase": random.uniform(0, 2 * np.pi, (count, _WAVES)),
        "saw_angle": random.uniform(0, np.pi, count),
    }


def _draw_views(random: np.random.Generator, station: np.ndarray) -> dict[str, np.ndarray]:
    """What each photograph adds; the forest is dim, dirty and warm, the sawmill bright and cool."""
    count, forest = len(station), station == 0
    return {
        "station": station,
        "rotation": random.uniform(0, 2 * np.pi, count),
        "radius": random.uniform(0.36, 0.46, count),
        "shift": random.uniform(-0.05, 0.05, (count, 2)),
        "brightness": np.where(forest, random.uniform(0.62, 0.95, count), random.uniform(0.85, 1.12, count)),
        "light_angle": random.uniform(0, 2 * np.pi, count),
        "light_slope": np.where(forest, random.uniform(0.1, 0.35, count), random.uniform(0.0, 0.15, count)),
        "dirt": np.where(forest, random.uniform(0.0, 0.75, count), random.uniform(0.0, 0.25, count)),
        "dirt_map": random.normal(0, 1, (count, 9, 9)),
        "ground_map": random.normal(0, 1, (count, 12, 12)),
        "grain": random.normal(0, 0.012, (count, SIDE, SIDE)),
    }


def _photograph(log: dict[str, np.ndarray], view: dict[str, np.ndarray]) -> np.ndarray:
    """Pixels (B, 3, 64, 64) uint8 of one chunk of photographs."""
    across, down = _axes(view)
    cosine, sine = np.cos(view["rotation"])[:, None, None], np.sin(view["rotation"])[:, None, None]
    u, v = cosine * across + sine * down, cosine * down - sine * across
    turn = u + 1j * v
    radius = np.abs(turn)
    turn /= radius
    outwards = radius / _outline(log, turn)
    grain = _waves(log["wave"], log["wave_phase"], view) * np.sqrt(2 / _WAVES)
    saw = np.stack([np.cos(log["saw_angle"]), np.sin(log["saw_angle"])], axis=-1)[:, None]
    colour = _face(log, u, v, outwards, grain)
    colour *= (1 + 0.025 * _waves(38 * saw, log["wave_phase"][:, :1], view))[:, None]
    in_bark = _soft((outwards - 1 + log["bark"][:, None, None]) * 30)[:, None]
    colour += in_bark * (_bark(log, turn) - colour)
    colour = _dirtied(colour, view)
    colour += _soft((outwards - 1) * 30)[:, None] * (_ground(view, outwards) - colour)
    colour *= _lighting(view, across, down)
    pixels = colour.reshape(*colour.shape[:2], SIDE, _FINE, SIDE, _FINE).mean(axis=(3, 5))
    return np.round(np.clip(pixels + view["grain"][:, None], 0, 1) * 255).astype(np.uint8)


def _soft(values: np.ndarray) -> np.ndarray:
    """A step from 0 to 1 over one unit either side of 0."""
    clipped = np.clip(values * 0.5 + 0.5, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def _axes(view: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """How far right (B, 1, W) and how far down (B, H, 1) of the log's middle each sub-pixel lies, in mean radii."""
    line = (np.arange(SIDE * _FINE) + 0.5) / (SIDE * _FINE) - 0.5
    across = (line[None, None, :] - view["shift"][:, 0, None, None]) / view["radius"][:, None, None]
    down = (line[None, :, None] - view["shift"][:, 1, None, None]) / view["radius"][:, None, None]
    return across, down


def _outline(log: dict[str, np.ndarray], turn: np.ndarray) -> np.ndarray:
    """The rim's distance from the middle in a direction e^(iθ): a circle with five harmonics."""
    rim, power = np.ones(turn.shape), turn
    for harmonic in range(log["outline"].shape[-1]):
        power = power * turn
        coefficients = log["outline"][:, :, harmonic, None, None]
        rim += coefficients[:, 0] * power.real + coefficients[:, 1] * power.imag
    return rim


def _face(
    log: dict[str, np.ndarray], u: np.ndarray, v: np.ndarray, outwards: np.ndarray, grain: np.ndarray
) -> np.ndarray:
    """Colours (B, 3, H, W) of the sawn wood: rings around the pith, heartwood, cracks and knots."""
    inwards = np.clip(1 - outwards, 0, 1)
    x, y = u - log["pith"][:, 0, None, None] * inwards, v - log["pith"][:, 1, None, None] * inwards
    far = np.hypot(x, y) * outwards / (np.hypot(u, v) + 1e-6)
    knots = _knots(log, u, v)
    tone = _rings(log, far + 0.012 * grain + 0.10 * knots)
    light, dark, heart, _ = np.moveaxis(log["palette"][..., None, None], 1, 0)
    in_heart = _soft((log["heart"][:, None, None] - far + 0.02 * grain) * 12)[:, None]
    colour = light + in_heart * (heart - light)
    colour += (0.75 * tone + 0.04 * grain)[:, None] * (dark - colour)
    shade = (1 - 0.55 * np.clip(knots, 0, 1)) * (1 - 0.35 * np.exp(-((far / 0.05) ** 2)))
    return colour * (shade * (1 - 0.85 * _cracks(log, x, y, far)))[:, None]


def _rings(log: dict[str, np.ndarray], far: np.ndarray) -> np.ndarray:
    """Darkness in [0, 1] of year rings: it rises through each year and falls at once, each year in its own tone."""
    sine, cosine = np.sin(2 * np.pi * far), np.cos(2 * np.pi * far)
    first, second, third = np.moveaxis(log["ring_warp"] / (2 * np.pi), 1, 0)[..., None, None]
    warp = sine * (first + second * cosine + third * (1 - 4 / 3 * sine**2))  # sin kx / k, by multiple angles
    years = np.clip(log["rings"][:, None, None] * (far + 0.6 * warp), 0, _RINGS - 1)
    whole = years.astype(np.int64)
    part = years - whole
    tones = np.take_along_axis(log["ring_tone"], whole.reshape(len(whole), -1), axis=1).reshape(whole.shape)
    return tones * part**2 * (1 - _soft((part - 0.9) * 12))


def _cracks(log: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Darkness in [0, 1] of drying cracks that run outwards from the pith and taper."""
    darkness = np.zeros_like(far)
    for crack in range(_CRACKS):
        angle, reach = log["crack_angle"][:, crack, None, None], log["crack_reach"][:, crack, None, None]
        along, aside = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        bend = 0.4 * np.sin(3 * angle) * along * (0.6 - along)
        width = log["crack_width"][:, crack, None, None] * (1 - far / np.maximum(reach, 1e-3))
        here = (along > 0) & (reach > 0) & (far < reach)
        darkness = np.maximum(darkness, here * _soft((width - np.abs(aside + bend)) * 40 + 0.5))
    return darkness


def _knots(log: dict[str, np.ndarray], u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bumps of height 1 where branches grew; rings bend around them and the wood darkens."""
    bumps = np.zeros_like(u)
    for knot in range(_KNOTS):
        place, size = log["knot_place"][:, knot, :, None, None], log["knot_size"][:, knot, None, None]
        away = (u - place[:, 0]) ** 2 + (v - place[:, 1]) ** 2
        bumps += (size > 0) * np.exp(-away / np.maximum(size, 1e-3) ** 2)
    return bumps


def _waves(direction: np.ndarray, phase: np.ndarray, view: dict[str, np.ndarray]) -> np.ndarray:
    """Σ cos(k·(u, v) + phase) over plane waves (B, K, 2) and (B, K) on a log's face, as products of its two axes."""
    across, down = _axes(view)
    cosine, sine = np.cos(view["rotation"])[:, None], np.sin(view["rotation"])[:, None]
    along_row = (cosine * direction[..., 0] - sine * direction[..., 1])[:, :, None] * across
    along_column = down * (sine * direction[..., 0] + cosine * direction[..., 1])[:, None, :] + phase[:, None, :]
    total: np.ndarray = np.cos(along_column) @ np.cos(along_row) - np.sin(along_column) @ np.sin(along_row)
    return total


def _bark(log: dict[str, np.ndarray], turn: np.ndarray) -> np.ndarray:
    """Colours of the bark (B, 3, H, W): three waves of furrows around the rim."""
    start = np.exp(1j * log["wave_phase"])[:, :, None, None]
    fourth = (turn * turn) ** 2
    sixteenth = (fourth * fourth) ** 2
    furrows = start[:, 0] + fourth * sixteenth * (start[:, 1] * fourth + start[:, 2] * sixteenth)
    return log["palette"][:, 3, :, None, None] * (0.85 + 0.13 * (turn * sixteenth * furrows).imag)[:, None]


def _dirtied(colour: np.ndarray, view: dict[str, np.ndarray]) -> np.ndarray:
    mud = np.array([0.24, 0.18, 0.11])[:, None, None]
    cover = _soft((_enlarged(view["dirt_map"]) - 1.0) * 2)[:, None] * view["dirt"][:, None, None, None]
    return colour + cover * (mud - colour)


def _ground(view: dict[str, np.ndarray], outwards: np.ndarray) -> np.ndarray:
    """Colours behind the log (B, 3, H, W), darker in its shadow."""
    first, second = np.moveaxis(_GROUND[view["station"]][..., None, None], 1, 0)
    mixed = first + _soft(_enlarged(view["ground_map"]))[:, None] * (second - first)
    return mixed * (1 - 0.45 * np.exp(-np.maximum(outwards - 1, 0) * 7))[:, None]


def _lighting(view: dict[str, np.ndarray], across: np.ndarray, down: np.ndarray) -> np.ndarray:
    angle, slope = view["light_angle"][:, None, None], view["light_slope"][:, None, None]
    level = view["brightness"][:, None, None] * (1 + slope * (across * np.cos(angle) + down * np.sin(angle)))
    return level[:, None] * _LIGHT[view["station"]][:, :, None, None]


def _enlarged(grid: np.ndarray) -> np.ndarray:
    """Random grids (B, n, n) as smooth maps of the photograph's sub-pixels, by cosine interpolation."""
    cells = grid.shape[-1]
    place = np.linspace(0, cells - 1, SIDE * _FINE)
    distance = np.abs(place[:, None] - np.arange(cells))
    weights = np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * distance), 0)
    smooth: np.ndarray = weights @ grid @ weights.T
    return smooth
