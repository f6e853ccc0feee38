"""What the training theatre asks the server while it plays: some steps more, and what is seen on the way."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import pydantic
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from genlab.core.errors import GenlabError
from genlab.workspace.exhibit import packed
from genlab.workspace.theatre import MOST_STEPS, Frames, Theatre, scene

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BYTES = 2**20


class Question(pydantic.BaseModel):
    """A scene, its history, and how to go on."""

    model_config = pydantic.ConfigDict(extra="forbid")

    model: str
    cloud: str
    seed: int = 0
    strokes: list[list[tuple[float, float]]] = []
    values: dict[str, bool | int | float | str] = {}
    history: str = pydantic.Field("", max_length=MOST_STEPS)
    turn: str = pydantic.Field("b", max_length=1)
    steps: int = 0
    every: int = 1


@cache
def _theatre() -> Theatre:
    return Theatre()


async def play(request: Request) -> Response:
    """Frames of a play as JSON; a sentence with status 422 where there are none.

    A question from another site's page is refused by its content type, which no page may send unasked.
    """
    if request.headers.get("content-type") != "application/json":
        return JSONResponse({"error": "Ask with JSON, as application/json."}, 415)
    body = await request.body()
    try:
        question = Question.model_validate_json(body[:MOST_BYTES])
        return JSONResponse(await run_in_threadpool(_answer, question))
    except pydantic.ValidationError as error:
        return JSONResponse({"error": f"This is no question about a play: {error.errors()[0]['msg']}."}, 422)
    except GenlabError as error:
        return JSONResponse({"error": str(error)}, 422)


def _answer(asked: Question) -> dict[str, Any]:
    played = scene(asked.model, asked.cloud, seed=asked.seed, strokes=asked.strokes, **asked.values)
    return as_json(_theatre().play(played, asked.history, asked.turn, asked.steps, asked.every))


def as_json(frames: Frames) -> dict[str, Any]:
    """Frames as the browser takes them: arrays as base64 of float32, what is no number as null."""
    return {
        "steps": frames.steps,
        "scalars": {name: _finite(values) for name, values in frames.scalars.items()},
        "parts": {name: {"shape": part.shape, "data": packed(part)} for name, part in frames.parts.items()},
        "said": frames.said,
    }


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
