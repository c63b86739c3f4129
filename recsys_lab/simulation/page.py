"""The generated part of docs/simulation.md: what a study found, as tables and sentences with their numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from recsys_lab.docs import replace_block
from recsys_lab.simulation.spec import Simulation
from recsys_lab.simulation.summary import PROTOCOL, protocol_grid, protocols, truth_of_models
from recsys_lab.simulation.truth import LIKED, NEXT

_SHARES = ("pairs_right", "best_found", "right", "open", "wrong", "covers_expected", "covers_elsewhere")


def summary_table(found: pd.DataFrame) -> pd.DataFrame:
    """``protocols`` rounded for reading: shares in %, one line a protocol."""
    shown = found[[name for name in PROTOCOL if name in found]].copy()
    shown["tau"] = [f"{tau:.2f} ± {error:.2f}" for tau, error in zip(found["tau"], found["tau_se"])]
    for name in _SHARES:
        shown[f"{name} %"] = [f"{100 * share:.0f}" for share in found[name]]
    shown["regret %"] = found["regret_percent"].map("{:.1f}".format)
    return shown


def markdown(spec: Simulation, table: pd.DataFrame) -> str:
    """Everything a study found, as Markdown."""
    models = truth_of_models(table)
    lines = [
        f"{spec.n_data_sets} data sets of the kind `{spec.data.name}`, {len(spec.algorithms)} algorithms, "
        f"{len(spec.splits)} splits, {spec.n_redraws} test parts drawn anew for each.",
        "",
        "What is true of the algorithms, mean over the data sets (1 = nobody could do better):",
        "",
        "| algorithm | liked | next |",
        "|---|---:|---:|",
        *(f"| {name} | {row[LIKED]:.3f} | {row[NEXT]:.3f} |" for name, row in models.iterrows()),
    ]
    for truth, title in ((LIKED, "what people like"), (NEXT, "what people would choose next by themselves")):
        found = protocols(table, truth)
        one = found[found["metric"] == spec.metrics[0]].drop(columns="metric")
        lines += ["", f"### Against {title} (truth: {truth})", "", *_sentences(found)]
        lines += ["", "Pairs of models measured in their true order, %:", "", *_grid(found)]
        lines += ["", f"By {spec.metrics[0]} alone:", "", *_rows(summary_table(one), 2)]
    return "\n".join(lines)


def update(page: Path, text: str) -> None:
    """Write ``text`` between the markers of the page."""
    page.write_text(replace_block(page.read_text(encoding="utf-8"), "simulation", text), encoding="utf-8")


def _sentences(found: pd.DataFrame) -> list[str]:
    """The plain answers: best and worst protocol, sampled against full, coverage and significant mistakes."""
    ranked = found.sort_values("pairs_right", kind="stable")
    worst, best = ranked.iloc[0], ranked.iloc[-1]
    sampled = found["metric"].str.startswith("sampled_")
    everyone = ~found["split"].str.contains(", ")
    lines = [
        f"- Most pairs right: {_name(best)}, {best['pairs_right']:.0%}; fewest: {_name(worst)}, "
        f"{worst['pairs_right']:.0%}.",
        "- By split (all metrics): " + _means(found, "split", "pairs_right") + ".",
        "- By what counts as relevant: " + _means(found[everyone], "relevance", "pairs_right") + ".",
        f"- Significant on the wrong side: {found['wrong'].mean():.0%} of the clear pairs over all protocols, from "
        f"{found['wrong'].min():.0%} to {found['wrong'].max():.0%}.",
        f"- Intervals cover the protocol's own expectation in {found['covers_expected'].mean():.0%} of the cases, the "
        f"mean of the other data sets in {found['covers_elsewhere'].mean():.0%}.",
    ]
    if sampled.any() and not sampled.all():
        full = found[~sampled & found["metric"].isin(found.loc[sampled, "metric"].map(_full))]
        lines.insert(
            2,
            f"- Full rankings {full['pairs_right'].mean():.0%}, the same metrics on sampled candidates "
            f"{found.loc[sampled, 'pairs_right'].mean():.0%}; covered elsewhere {full['covers_elsewhere'].mean():.0%} "
            f"and {found.loc[sampled, 'covers_elsewhere'].mean():.0%}.",
        )
    return lines


def _full(name: str) -> str:
    return name.removeprefix("sampled_").partition("[")[0]


def _name(row: pd.Series) -> str:
    return f"{row['split']}, {row['relevance']}, {row['metric']}"


def _means(found: pd.DataFrame, by: str, column: str) -> str:
    means = found.groupby(by, sort=False)[column].mean().sort_values(ascending=False, kind="stable")
    return ", ".join(f"{name} {value:.0%}" for name, value in means.items())


def _grid(found: pd.DataFrame) -> list[str]:
    grid = protocol_grid(found, "pairs_right").map(lambda share: f"{100 * share:.0f}")
    return _rows(grid.rename_axis(index="protocol").reset_index(), 1)


def _rows(table: pd.DataFrame, n_names: int) -> list[str]:
    """A Markdown table; all columns but the first ``n_names`` are numbers."""
    names = list(table.columns)
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * n_names + "---:|" * (len(names) - n_names)]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in table.itertuples(index=False)]
