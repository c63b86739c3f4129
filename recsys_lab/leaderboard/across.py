"""Finished experiments on several data sets, compared by ranks, with the critical-difference picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_lab.comparison import DatasetsComparison, compare_datasets
from recsys_lab.experiment import Experiment, load_experiment
from recsys_lab.leaderboard.board import build
from recsys_lab.leaderboard.columns import decimals, p_value
from recsys_lab.leaderboard.files import replace_file
from recsys_lab.leaderboard.table import Table
from recsys_lab.plots import critical_difference, to_png, to_svg
from recsys_lab.tracking import home

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def build_across(experiments: Sequence[Experiment | Path | str], *, split: str = "") -> DatasetsComparison:
    """Compare the finished trials of several experiments, one a data set, by Friedman's test and Nemenyi's.

    ``split`` chooses the table of an experiment with several splits: a part of its title, such as "temporal_user".

    Raises LookupError when an experiment has no finished trial or no such table, ValueError where ``compare_datasets``
    does.
    """
    tables: dict[str, Table] = {}
    for one in experiments:
        spec = one if isinstance(one, Experiment) else load_experiment(one)
        table = _chosen(spec.name, build(spec).tables, split)
        name = spec.dataset_name if spec.dataset_name not in tables else f"{spec.dataset_name} ({spec.name})"
        if name in tables:
            raise ValueError(f"the experiment {spec.name!r} is given twice; right would be one experiment a data set")
        tables[name] = table
    return compare_datasets(tables)


def picture(found: DatasetsComparison) -> Figure:
    """The critical-difference picture of a comparison over data sets."""
    label = f"average rank by {found.primary} over {found.ranks.shape[1]} data sets"
    groups = [group for group in found.groups if len(group) > 1]
    return critical_difference(found.table["average_rank"], found.critical_difference, groups, axis_label=label)


def to_markdown(found: DatasetsComparison) -> str:
    """Average ranks, the value on each data set, the tests and the groups as Markdown."""
    names = list(found.values.columns)
    heads = ["model", "average rank", "best on", *map(str, names)]
    values, ranks = found.values.to_numpy(), found.ranks.to_numpy()
    lines = [
        [
            str(model),
            decimals(float(average), 2),
            str(int(best)),
            *(f"{decimals(float(value))} ({rank:g})" for value, rank in zip(values[row], ranks[row])),
        ]
        for row, (model, average, best) in enumerate(
            zip(found.table.index, found.table["average_rank"], found.table["best_on"])
        )
    ]
    rule = ["---", *["---:"] * (len(heads) - 1)]
    table = "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in [heads, rule, *lines]
    )
    test = found.test
    k, n = found.ranks.shape
    notes = [
        f"Friedman: chi-squared {test.statistic:.2f} with {k - 1} degrees of freedom, p {p_value(test.p)}; Iman and "
        f"Davenport: F {test.f:.2f} with {k - 1} and {(k - 1) * (n - 1)}, p {p_value(test.p_f)}.",
        f"Nemenyi: average ranks that differ by {found.critical_difference:.2f} or more are told apart.",
        *(f"Cannot be told apart: {', '.join(group)}." for group in found.groups if len(group) > 1),
        *(f"{note[0].upper()}{note[1:]}." for note in found.notes),
    ]
    title = f"# Average ranks by {found.primary} over {n} data sets"
    return f"{title}\n\n{table}\n\n" + "\n".join(f"- {note}" for note in notes) + "\n"


def write(found: DatasetsComparison, folder: Path | None = None) -> list[Path]:
    """Write across.md, across.csv, across.svg and across.png into ``folder`` (default outputs/across)."""
    folder = folder or home() / "outputs" / "across"
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "md": to_markdown(found).encode(),
        "csv": found.table.join(found.values).to_csv().encode(),
        "svg": to_svg(picture(found), transparent=False).encode(),
        "png": to_png(picture(found)),
    }
    return [replace_file(folder / f"across.{ending}", content) for ending, content in files.items()]


def _chosen(experiment: str, tables: Sequence[Table], split: str) -> Table:
    chosen = [table for table in tables if split in table.title]
    if len(chosen) != 1:
        raise LookupError(
            f"{experiment!r} has {len(chosen)} tables{f' with {split!r} in their titles' if split else ''}; "
            f"right would be one, chosen by --split: {'; '.join(table.title for table in tables)}"
        )
    return chosen[0]
