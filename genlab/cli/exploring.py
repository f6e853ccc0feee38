"""Pictures and points from a trained run, written to files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genlab.cli.output import laboratory, reports
from genlab.core.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np

    from genlab.data import ImageSet
    from genlab.figures.images import Images
    from genlab.workspace import Run
    from genlab.workspace.results import Projection

seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Fixes what is left to chance."
)


def written(run: Run, images: Images, path: str, columns: int | None = None, **more: Any) -> dict[str, Any]:
    """Save images by the file's ending (a picture, a GIF, a zip of PNGs, an array) and say what was saved."""
    import numpy as np

    file = Path(path)
    if file.suffix in (".zip", ".npy"):
        file.parent.mkdir(parents=True, exist_ok=True)
        images.zip(file) if file.suffix == ".zip" else np.save(file, images.array)
    else:
        images.save(file, columns=columns)
    shape = images.array.shape
    return {"run": run.id, "file": str(file), "count": shape[0], "shape": shape[1:], "caption": images.caption, **more}


def _said(document: dict[str, Any]) -> str:
    return f"{document['file']}: {document['caption']}"


def given_images(
    run: Run, sources: tuple[str, ...], count: int = 0, of: Callable[[], ImageSet] | None = None
) -> np.ndarray:
    """Images (N, C, H, W): numbers of a set or files in the run's shape; without any, `count` held-out ones.

    The set is the run's own, or what `of` opens; files alone need none.
    """
    import numpy as np

    opened = of or (lambda: run.images)
    if sources:
        return np.concatenate([_given(run, source, opened) for source in sources])
    images = opened()
    chosen = images.splits["validation"] if len(images.splits["validation"]) else images.splits["train"]
    return images.tensor(chosen[:count]).numpy()


def _given(run: Run, source: str, opened: Callable[[], ImageSet]) -> np.ndarray:
    import numpy as np

    from genlab.core.shapes import Shape
    from genlab.data import decode_images

    if not source.isdecimal():
        return decode_images(source, Shape(*run.config.data.shape)).astype(np.float32) / np.float32(255)
    number, images = int(source), opened()
    if number >= images.count:
        raise BadInputError(f"{images.name} has the images 0 to {images.count - 1}, and {number} is none of them.")
    return images.tensor([number]).numpy()


@click.command()
@click.argument("run")
@click.option("-n", "--count", type=click.IntRange(1, 100_000), default=64, show_default=True, help="How many images.")
@click.option("--label", help="Draw images of this class (its name or number).")
@click.option(
    "--temperature", type=click.FloatRange(0, 10), default=1.0, show_default=True, help="Spread of the noise."
)
@seed_option
@click.option(
    "-o", "--output", default="grid.png", show_default=True, help="Also .webp, .gif, .mp4, .zip of PNGs, .npy."
)
@reports(_said)
def sample(run: str, count: int, label: str | None, temperature: float, seed: int, output: str) -> dict[str, Any]:
    """Draw new images from a run."""
    found = laboratory().runs[run]
    images = found.sample(count, labels=label, seed=seed, temperature=temperature)
    return written(found, images, output, seed=seed)


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1)
@click.option("-n", "--count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Images held out.")
@click.option("-o", "--output", default="reconstructions.png", show_default=True)
@reports(_said)
def reconstruct(run: str, images: tuple[str, ...], count: int, output: str) -> dict[str, Any]:
    """Originals above, their reconstructions below.

    IMAGES are files, or numbers of the run's image set; without any, held-out images are taken.
    """
    import numpy as np

    from genlab.figures.images import Images

    found = laboratory().runs[run]
    given = given_images(found, images, count)
    rebuilt = found.reconstruct(given)
    both = Images(np.concatenate([given, rebuilt.array]), f"Originals above; {rebuilt.caption}")
    error = float(((given - rebuilt.array) ** 2).mean())
    return written(found, both, output, columns=len(given), mse=error)


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1)
@click.option("--back", is_flag=True, help="From the second image set to the first.")
@click.option("-n", "--count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Images held out.")
@click.option("-o", "--output", default="translated.png", show_default=True)
@reports(_said)
def translate(run: str, images: tuple[str, ...], back: bool, count: int, output: str) -> dict[str, Any]:
    """Images of one set above, what the run makes of them as images of its other set below.

    IMAGES are files, or numbers of the run's first image set (with --back, of its second); without any, held-out
    images are taken. The error that is told is that of turning them back again.
    """
    import numpy as np

    from genlab.figures.images import Images

    found = laboratory().runs[run]
    given = given_images(found, images, count, lambda: found.translates_from(back=back))
    there = found.translate(given, back=back)
    error = float(np.abs(found.translate(there, back=not back).array - given).mean())
    both = Images(np.concatenate([given, there.array]), f"Originals above; {there.caption}")
    return written(found, both, output, columns=len(given), back=back, error_there_and_back=error)


@click.command()
@click.argument("run")
@click.argument("a")
@click.argument("b")
@click.option("--steps", type=click.IntRange(2, 1000), default=10, show_default=True)
@click.option("--kind", type=click.Choice(["lerp", "slerp"]), default="slerp", show_default=True)
@click.option("-o", "--output", default="strip.png", show_default=True, help="A strip, or a film: .gif, .mp4.")
@reports(_said)
def interpolate(run: str, a: str, b: str, steps: int, kind: str, output: str) -> dict[str, Any]:
    """Walk from A to B: numbers of images in the run's set, or image files.

    For a model without an encoder, A and B are seeds of draws from its prior.
    """
    found = laboratory().runs[run]
    if found.can("encodes") or not found.can("decodes"):
        ends: list[Any] = [given_images(found, (end,)) for end in (a, b)]
    elif a.isdecimal() and b.isdecimal():
        ends = [int(a), int(b)]
    else:
        raise BadInputError(f"{found.name} has no encoder, so A and B must be whole numbers: seeds of its prior.")
    images = found.interpolate(*ends, steps=steps, kind=kind)
    return written(found, images, output, columns=steps, a=a, b=b, steps=steps, kind=kind)


@click.command()
@click.argument("run")
@click.argument("anchors", nargs=-1)
@click.option("-n", "--count", type=click.IntRange(1, 1000), default=6, show_default=True, help="Anchors held out.")
@click.option("--preset", type=click.Choice(["thesis", "code"]), default="thesis", show_default=True)
@click.option("--positive-radius", type=float, help="Distance of the positive from its anchor, in steps.")
@click.option("--negative-radius", type=float, help="Distance of the negative from its anchor, in steps.")
@click.option("--positive-toward-mean", type=float, help="Probability of a step towards the mean of all codes.")
@click.option("--negative-toward-mean", type=float, help="The same for the negative.")
@click.option("--draws", type=click.IntRange(1, 100), default=1, show_default=True, help="Triplets an anchor.")
@seed_option
@click.option("-o", "--output", default="triplets.png", show_default=True)
@reports(_said)
def triplets(
    run: str, anchors: tuple[str, ...], count: int, preset: str, draws: int, seed: int, output: str, **given: float | None
) -> dict[str, Any]:  # fmt: skip
    """Sample positives and negatives around anchors, a row each.

    ANCHORS are files, or numbers of the run's image set; without any, held-out images are taken.
    """
    from genlab.core.parameters import validate
    from genlab.latent.triplets import TRIPLET_PRESETS, TripletSettings

    chosen = {key: value for key, value in given.items() if value is not None}
    settings = validate(TripletSettings, {**TRIPLET_PRESETS[preset].model_dump(), **chosen}, of="the triplets")
    assert isinstance(settings, TripletSettings)
    found = laboratory().runs[run]
    drawn = found.triplets(given_images(found, anchors, count), settings, seed=seed, draws=draws)
    more = {"settings": settings.model_dump(), "distances": drawn.distances}
    return written(found, drawn.rows(), output, columns=2 + 2 * draws, anchors=len(drawn.anchors), draws=draws, **more)


@click.command()
@click.argument("run")
@click.option("--method", type=click.Choice(["pca", "tsne", "umap"]), default="pca", show_default=True)
@click.option("--dimensions", type=click.IntRange(2, 3), default=2, show_default=True)
@click.option("--limit", type=click.IntRange(3, 1_000_000), default=2000, show_default=True, help="Images at most.")
@click.option("--split", type=click.Choice(["train", "validation", "all"]), default="train", show_default=True)
@seed_option
@click.option("-o", "--output", default="points.csv", show_default=True, help="A table (.csv) or a chart (.html).")
@reports(_said)
def project(run: str, method: str, dimensions: int, limit: int, split: str, seed: int, output: str) -> dict[str, Any]:
    """Lay out the codes of a run's images in two or three dimensions."""
    file = Path(output)
    if file.suffix not in (".csv", ".html"):
        raise BadInputError(f"{file.name!r} is neither a table nor a chart; end its name with .csv or .html.")
    found = laboratory().runs[run]
    laid_out = found.project(method, dimensions=dimensions, limit=limit, split=split, seed=seed)
    caption = f"{method} of the codes of {len(laid_out.points)} images, {found.title}"
    file.parent.mkdir(parents=True, exist_ok=True)
    names = found.config.data.class_names
    if file.suffix == ".csv":
        _write_table(file, laid_out, names)
    else:
        _write_chart(file, laid_out, names, caption)
    return {
        "run": found.id, "file": str(file), "points": len(laid_out.points), "method": method,
        "axes": laid_out.axes, "caption": caption,
    }  # fmt: skip


def _write_table(file: Path, laid_out: Projection, class_names: tuple[str, ...]) -> None:
    columns: dict[str, Any] = {"image": laid_out.indices}
    columns |= dict(zip("xyz", laid_out.points.T, strict=False))
    if laid_out.labels is not None:
        columns["label"] = [class_names[label] for label in laid_out.labels]
    columns |= laid_out.scalars
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _write_chart(file: Path, laid_out: Projection, class_names: tuple[str, ...], caption: str) -> None:
    from genlab.figures import projection_scatter

    figure = projection_scatter(
        laid_out.points,
        axes=laid_out.axes,
        indices=laid_out.indices,
        labels=laid_out.labels,
        class_names=class_names,
    )
    figure.update_layout(title={"text": caption})
    file.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")


def _said_of_exhibit(document: dict[str, Any]) -> str:
    """How to open it, how large it is, and whether its decoder is more than a browser runs well."""
    size, weights = document["bytes"] / 1e6, document["decoder_bytes"] / 4e6
    way = (
        "it opens by a double click"
        if "file" in document
        else "open it through any server of files, as its README says"
    )
    slow = (
        f" Its decoder has about {weights:.1f} million parameters, so that pictures will follow slowly."
        if weights > 3
        else ""
    )
    return f"{document.get('file') or document['folder']} ({size:.1f} MB): {way}.{slow}"


@click.command()
@click.argument("run")
@click.argument("target")
@click.argument("through", nargs=-1)
@reports(_said_of_exhibit)
def exhibit(run: str, target: str, through: tuple[str, ...]) -> dict[str, Any]:
    """Explore a run's latent space in any browser, without Python and without a network.

    TARGET is a new folder, for any server of files, or a name that ends in .html: one file that opens by a double click.

    Its plane goes THROUGH three images of the run's set (numbers) or files; for a model without an encoder, through draws
    from its prior (seeds). Without any, two latent dimensions are shown whole, and of more the plane through images 0, 1, 2.
    """
    import numpy as np

    found = laboratory().runs[run]
    named = through or ("0", "1", "2")
    if len(named) != 3:
        raise BadInputError(f"A plane goes through three images, and {len(named)} were given.")
    model: Any = found.model()
    corners: Any = None
    if through or getattr(model, "latent_dim", 0) != 2:
        if found.can("encodes"):
            corners = found.codes(given_images(found, named))
        elif all(seed.isdecimal() for seed in named):
            corners = np.concatenate([found.codes(int(seed)) for seed in named])
        else:
            raise BadInputError(f"{found.name} has no encoder, so THROUGH must be whole numbers: seeds of its prior.")
    noun = "image" if found.can("encodes") else "draw"
    names = [] if corners is None else [f"{noun} {one}" if one.isdecimal() else Path(one).name for one in named]
    written = found.exhibit(target, corners, names)
    files = [path for path in (written, *written.rglob("*")) if path.is_file()]
    return {
        "run": found.id, "folder" if written.is_dir() else "file": str(written), "through": names,
        "bytes": sum(path.stat().st_size for path in files), "decoder_bytes": found.decoder().stat().st_size,
    }  # fmt: skip
