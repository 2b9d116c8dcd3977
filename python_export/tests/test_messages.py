"""Every text that the package can print, and what holds for each."""

import ast
import re
from pathlib import Path

from python_export.__main__ import _parser

PACKAGE = Path(__file__).resolve().parent.parent
LONGEST = 300


def _texts(path):
    """The texts of a module with their lines, `{}` for what is put into them; no docstrings."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    inner = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(tree):
        if node in docstrings or node in inner:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _messages():
    """Texts of at least two words; the vocabulary of `tiny.py` is data."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "tests" in path.parts or path.name == "tiny.py":
            continue
        for line, text in _texts(path):
            if re.search(r"[A-Za-z]{2,}.* .*[A-Za-z]{2,}", text):
                yield f"{path.relative_to(PACKAGE.parent)}:{line}", text


def test_every_text_is_short_and_has_no_control_characters():
    messages = list(_messages())
    assert len(messages) > 40
    for place, text in messages:
        assert len(text) <= LONGEST, f"{place}: {text}"
        assert text.replace("\n", "").isprintable(), f"{place}: {text!r}"


def test_every_flag_that_a_text_names_exists():
    known = {flag for action in _parser()._actions for flag in action.option_strings}
    seen = 0
    for place, text in _messages():
        # What `pip install …` takes is pip's.
        for flag in re.findall(
            r"(?<![\w-])--[a-z][a-z-]+", re.sub(r"pip install[^`\n]*", "", text)
        ):
            seen += 1
            assert flag in known, f"{place}: {flag}: {text}"
    assert seen > 3
