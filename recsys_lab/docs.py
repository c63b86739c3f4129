"""Generated parts of README and docs: a table of results is printed by a command, never typed."""

from __future__ import annotations

import re
from pathlib import Path


def block(text: str, name: str) -> str:
    """The generated text between the markers of ``name``; raises ValueError when the markers are not there."""
    return _find(text, name).group("body")


def replace_block(text: str, name: str, body: str) -> str:
    """``text`` with the part between the markers of ``name`` replaced."""
    found = _find(text, name)
    return f"{text[: found.start('body')]}\n{body.strip()}\n{text[found.end('body') :]}"


def write_block(path: Path, name: str, body: str) -> bool:
    """Replace a block in a file; returns whether the file changed."""
    before = path.read_text(encoding="utf-8")
    after = replace_block(before, name, body)
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before


def _find(text: str, name: str) -> re.Match[str]:
    pattern = rf"<!-- generated: {re.escape(name)} [^\n]*-->(?P<body>.*?)<!-- end generated -->"
    found = re.search(pattern, text, flags=re.DOTALL)
    if not found:
        raise ValueError(f"no block <!-- generated: {name} (command) --> ... <!-- end generated --> in the text")
    return found
