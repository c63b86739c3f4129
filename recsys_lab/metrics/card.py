"""The card of a metric: what a reader must know to trust its number, and how ``evaluate`` calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["ranking", "list", "catalogue", "score", "rating"]

KINDS: dict[str, str] = {
    "ranking": "Accuracy of the first k places, one value a user with relevant test items. Written `name@k`.",
    "list": "A property of each list, one value a user. Written `name@k`.",
    "catalogue": "A property of all lists together, one value. Written `name@k`.",
    "score": "Accuracy of the whole order by score, one value a user. Written without a cut-off.",
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

    @property
    def needs_cutoff(self) -> bool:
        """The name is completed by a cut-off: ndcg@10."""
        return self.kind in ("ranking", "list", "catalogue")


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
            name = f"{metric.name}@k" if metric.needs_cutoff else metric.name
            cells = [f"`{name}`", metric.formula, metric.range, metric.better]
            cells += [metric.edge_cases, metric.source, metric.default]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
