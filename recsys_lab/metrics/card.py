"""The card of a metric: what a reader must know to trust its number, and how ``evaluate`` calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["ranking", "list", "catalogue", "score", "sampled", "rating"]

KINDS: dict[str, str] = {
    "ranking": "Accuracy of the first k places, one value a user with relevant test items. Written `name@k`.",
    "list": "A property of each list, one value a user. Written `name@k`.",
    "catalogue": "A property of all lists together, one value. Written `name@k`.",
    "score": "Accuracy of the whole order by score, one value a user. Written without a cut-off.",
    "sampled": (
        "The same on an easier task: relevant items among n others that were drawn, one value a user. Written "
        "`name@k[n=99]`. They may order models otherwise than the full ranking does (Krichene and Rendle, KDD 2020): "
        "they stand beside the full number with a warning, and never in a leaderboard."
    ),
    "rating": "Error of predicted ratings (`task: rating`). Written without a cut-off.",
}


@dataclass(frozen=True)
class Metric:
    """One row of the metric table. ``inputs`` names the arguments of ``function``, in order."""

    name: str
    kind: Kind
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    formula: str
    edge_cases: str
    source: str
    range: str = "0 to 1"
    default: Literal["yes", "option", "with features", "with genres"] = "option"
    better: Literal["higher", "lower", "neither"] = "higher"
    n_sampled: int = 0  # candidates drawn for each user; 0 = the full ranking

    @property
    def needs_cutoff(self) -> bool:
        """The name is completed by a cut-off: ndcg@10."""
        return self.kind in ("ranking", "list", "catalogue", "sampled")

    def column(self, k: int | str) -> str:
        """The full name at cut-off ``k``: "ndcg@10", "sampled_ndcg@10[n=99]", "auc"."""
        drawn = f"[n={self.n_sampled}]" if self.n_sampled else ""
        return f"{self.name}@{k}{drawn}" if self.needs_cutoff else self.name


def markdown(metrics: Mapping[str, Metric], version: int, intro: str) -> str:
    """The formula table of the documentation."""
    lines = ["# Metrics", "", intro, "", f"Version of these definitions (`metric_spec_version`): {version}.", ""]
    for kind, meaning in KINDS.items():
        lines += [f"## {kind.capitalize()} metrics", "", meaning, ""]
        lines += [
            "| metric | definition | range | better | edge cases | source | default |",
            "|---|---|---|---|---|---|---|",
        ]
        for metric in metrics.values():
            if metric.kind != kind:
                continue
            cells = [f"`{metric.column('k')}`", metric.formula, metric.range, metric.better]
            cells += [metric.edge_cases, metric.source, metric.default]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
