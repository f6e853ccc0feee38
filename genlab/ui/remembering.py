"""What pages computed, kept for all who visit them: a question that was answered is not computed again for anybody."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import streamlit as st

from genlab.ui.state import get_workspace

Answer = TypeVar("Answer")
MOST = 8  # answers of one kind, the last ones that were asked for


class Answers:
    """The answers of one kind. Whoever asks what is just being computed waits for it.

    >>> answers = Answers()
    >>> answers.to("a", lambda: 1, 2), answers.to("a", lambda: 2, 2), answers.known("b")
    (1, 1, None)
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._computing: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def known(self, question: Hashable) -> Any:
        """The answer, or None where it was not computed yet."""
        return self._answers.get(question)

    def to(self, question: Hashable, compute: Callable[[], Any], most: int) -> Any:
        """The answer, computed where nobody asked before; the `most` last ones are kept."""
        with self._lock:
            computing = self._computing.setdefault(question, Lock())
        with computing:
            answer = self.known(question)
            if answer is None:
                answer = compute()
        with self._lock:
            self._computing.pop(question, None)
            self._answers[question] = answer
            self._answers.move_to_end(question)
            while len(self._answers) > most:
                self._answers.popitem(last=False)
        return answer


@st.cache_resource(show_spinner=False)
def _answers(kind: str, laboratory: str) -> Answers:
    return Answers()


def remembered(kind: str, question: Hashable, compute: Callable[[], Answer], most: int = MOST) -> Answer:
    """What `compute` gives, which nobody may change, from memory where anybody asked the same before.

    A question about a run begins with its `weights_of`, so that what it learns later is asked anew.
    """
    answer: Answer = _answers(kind, str(get_workspace().root)).to(question, compute, most)
    return answer


def known(kind: str, question: Hashable) -> Any:
    """The answer to a question that somebody may have asked before, else None."""
    return _answers(kind, str(get_workspace().root)).known(question)


def content_of(array: np.ndarray) -> str:
    """A short name for just these numbers, for questions about them."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()
