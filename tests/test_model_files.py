"""Model files stay readable alone: short, or with a reason, and none a copy of another."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[1] / "genlab" / "models").glob("[a-z]*.py"))
ABOUT_150 = 165  # a tenth more
SHARED = 6
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> set[int]:
    """Numbers of the lines that hold code: neither blank nor comment nor docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for token in tokens if token.type not in SILENT for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            first = node.body[0]
            lines -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def windows(source: str) -> set[tuple[str, ...]]:
    """Every six consecutive lines below the imports, without blank ones and indentation."""
    imports = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    below = source.splitlines()[max(node.end_lineno or 0 for node in imports) :]
    lines = [line.strip() for line in below if line.strip()]
    return {tuple(lines[place : place + SHARED]) for place in range(len(lines) - SHARED + 1)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_model_is_about_150_lines_of_code_or_says_why_not(file: Path) -> None:
    source = file.read_text()
    reason = "longer than most models" in " ".join((ast.get_docstring(ast.parse(source)) or "").split())
    assert len(code_lines(source)) <= ABOUT_150 or reason


def test_no_two_models_share_six_lines() -> None:
    found: dict[tuple[str, ...], str] = {}
    for file in FILES:
        for window in windows(file.read_text()):
            assert window not in found, f"{file.stem} and {found[window]}: {window}"
            found[window] = file.stem


def test_lines_of_code_leave_out_comments_blanks_and_docstrings() -> None:
    source = '"""A file\nof models."""\n\nx = 1  # one\n# two\ny = [\n    2,\n]\n\n\ndef f():\n    """What."""\n    return x\n'
    assert code_lines(source) == {4, 6, 7, 8, 11, 13}
