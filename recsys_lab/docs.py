"""Generated parts of README and docs: a table of results is printed by a command, never typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

README_COLUMNS = ("rank_group", "model", "mean", "difference", "p_holm", "verdict", "item_coverage@10", "fit_s")


def update(root: Path) -> list[Path]:
    """Bring README.md, its picture and the generated tables below docs/ up to date; returns the files that changed.

    The leaderboard is read from the finished runs of experiments/quickstart.yaml; raises LookupError without them.
    """
    from recsys_lab.algorithms import catalogue
    from recsys_lab.checks import definitions as checks
    from recsys_lab.leaderboard import build
    from recsys_lab.metrics import page

    board = build(root / "experiments" / "quickstart.yaml")
    texts = {
        "README.md": replace_block(_read(root / "README.md"), "leaderboard", board.to_markdown(README_COLUMNS)),
        "docs/algorithms.md": replace_block(
            _read(root / "docs/algorithms.md"), "algorithms", catalogue.markdown_table()
        ),
        "docs/checks.md": checks.document(),
        "docs/metrics.md": page.document(),
        "docs/images/leaderboard.svg": board.to_svg(),
    }
    return list(_written(root, texts))


def block(text: str, name: str) -> str:
    """The generated text between the markers of ``name``; raises ValueError when the markers are not there."""
    return _find(text, name).group("body")


def replace_block(text: str, name: str, body: str) -> str:
    """``text`` with the part between the markers of ``name`` replaced."""
    found = _find(text, name)
    return f"{text[: found.start('body')]}\n{body.strip()}\n{text[found.end('body') :]}"


def _find(text: str, name: str) -> re.Match[str]:
    pattern = rf"<!-- generated: {re.escape(name)} [^\n]*-->(?P<body>.*?)<!-- end generated -->"
    found = re.search(pattern, text, flags=re.DOTALL)
    if not found:
        raise ValueError(f"no block <!-- generated: {name} (command) --> ... <!-- end generated --> in the text")
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _written(root: Path, texts: dict[str, str]) -> Iterator[Path]:
    for name, text in texts.items():
        path = root / name
        if not path.is_file() or _read(path) != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            yield path
