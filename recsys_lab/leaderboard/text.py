"""A leaderboard table as Markdown, LaTeX or lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_lab.leaderboard.columns import MINUS, REFERENCE, Column
from recsys_lab.leaderboard.table import Table

TERMINAL = ("rank_group", "model", "mean", "difference", "p_holm", "verdict", "fit_s", "status")
_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
          "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "±": r"$\pm$", "–": "--", MINUS: "$-$", "<": "$<$",
          "≤": r"$\leq$", "·": r"$\cdot$", "×": r"$\times$", "λ": r"$\lambda$"}  # fmt: skip


def cells(table: Table, keys: Sequence[str] | None = None) -> tuple[list[Column], list[list[str]]]:
    """The shown columns and the text of every row."""
    columns = [column for column in table.columns if keys is None or column.key in keys]
    return columns, [[column.text(row) for column in columns] for _, row in table.frame.iterrows()]


def to_markdown(table: Table, keys: Sequence[str] | None = None, *, links: bool = True) -> str:
    """A Markdown table, with its title above and its notes below; ``links`` leads from a status to its card."""
    columns, rows = cells(table, keys)
    heads = [column.head for column in columns]
    escaped = [[_markdown(text) for text in row] for row in rows]
    for place in [place for place, column in enumerate(columns) if column.key == "card" and links]:
        for row, file in zip(escaped, table.frame["card_file"]):
            row[place] = f"[{row[place]}]({file})" if file else row[place]
    for row, status in zip(escaped, table.frame["status"]):
        if status == REFERENCE:
            row[:] = [f"*{text}*" if text != "–" else text for text in row]
    right = ["---" if column.value is None else "---:" for column in columns]
    lines = [" | ".join(line) for line in ([_markdown(head) for head in heads], right, *escaped)]
    notes = "".join(f"\n- {note}" for note in table.notes)
    return f"### {table.title}\n\n{table.subtitle}\n\n" + "\n".join(f"| {line} |" for line in lines) + f"\n{notes}\n"


def to_latex(table: Table) -> str:
    """A booktabs table to be put into a paper (needs \\usepackage{booktabs}); the best row of the ranked is bold."""
    columns, rows = cells(table)
    statuses = list(table.frame["status"])
    best = next((line for line, status in enumerate(statuses) if status != REFERENCE), -1)
    body = []
    for line, (row, status) in enumerate(zip(rows, statuses)):
        texts = [_latex(text) for text in row]
        if line == best:
            texts = [
                rf"\textbf{{{text}}}" if column.key in {"model", "mean"} else text
                for column, text in zip(columns, texts)
            ]
        body.append("    " + " & ".join(texts) + r" \\")
        if status == REFERENCE:
            body.append(r"    \midrule")
    heads = " & ".join(_latex(column.head) for column in columns)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering\footnotesize",
            rf"  \caption{{{_latex(table.title)}. {_latex(table.subtitle)}}}",
            rf"  \begin{{tabular}}{{{''.join('l' if column.value is None else 'r' for column in columns)}}}",
            r"    \toprule",
            f"    {heads} " + r"\\",
            r"    \midrule",
            *body,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_terminal(table: Table, keys: Sequence[str] = TERMINAL) -> str:
    """Aligned lines for a terminal with the columns that matter most."""
    columns, rows = cells(table, keys)
    grid = [[column.head for column in columns], *rows]
    widths = [max(len(row[place]) for row in grid) for place in range(len(columns))]
    lines = []
    for number, row in enumerate(grid):
        texts = [
            text.ljust(width) if column.value is None or (number == 0 and column.key == "model") else text.rjust(width)
            for text, width, column in zip(row, widths, columns)
        ]
        lines.append("  ".join(texts).rstrip())
        if number == 0:
            lines.append("─" * (sum(widths) + 2 * (len(widths) - 1)))
    notes = [f"· {note}" for note in table.notes]
    return "\n".join([table.title, table.subtitle, "", *lines, "", *notes]).rstrip() + "\n"


def _markdown(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*").replace("<", "&lt;")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
