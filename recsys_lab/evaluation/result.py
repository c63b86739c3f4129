"""The outcome of an evaluation: summary, one row a user, the lists and the cost; kept as a folder of plain files."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.data.folders import written_whole
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.evaluation.cost import Cost

FORMAT = 1
NOT_METRICS = ("n_relevant", "n_pairs", "list_length", "is_cold", "sse", "sae", "sse_unclipped", "sae_unclipped")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What ``evaluate`` found out about one algorithm on one split.

    ``summary`` maps a name to its number ("ndcg@10", "n_users", ...; NaN = not defined). ``per_user`` is indexed by
    user code ("user"): a float64 column for each per-user metric (NaN = not defined for this user), ``is_cold`` and,
    for rankings, ``n_relevant`` and ``list_length``; for ratings, ``n_pairs`` and the sums of squared and absolute
    errors ``sse``, ``sae`` (clipped) and ``sse_unclipped``, ``sae_unclipped``. A mean in the summary is the mean of the
    column without NaN; rmse and mae come from the sums. ``lists`` has k = the largest cut-off; None for ratings.
    """

    summary: dict[str, float]
    per_user: pd.DataFrame
    lists: RankedLists | None
    cost: Cost
    protocol: dict[str, Any]
    dataset_hash: str
    split_hash: str
    algorithm: str
    parameters: dict[str, Any]
    warnings: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.summary.items() if name.startswith(("ndcg@", "recall@"))}
        shown = shown or {name: self.summary[name] for name in ("rmse", "mae") if name in self.summary}
        values = ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
        return f"Evaluation({self.algorithm}, {len(self.per_user):,} users: {values or ', '.join(self.metrics)})"

    @property
    def metrics(self) -> list[str]:
        """The per-user metrics, in the order of the table."""
        return [name for name in self.per_user.columns if name not in NOT_METRICS]

    def warm_and_cold(self) -> pd.DataFrame:
        """Means over warm and over cold users apart: one row a metric, and n_users; columns warm and cold."""
        cold = self.per_user["is_cold"].to_numpy(dtype=bool)
        rows = {name: self.per_user[name].to_numpy(dtype=np.float64) for name in self.metrics}
        means = {name: [mean(values[~cold]), mean(values[cold])] for name, values in rows.items()}
        served = (
            self.per_user["n_relevant"].to_numpy() > 0 if "n_relevant" in self.per_user else np.ones(len(cold), bool)
        )
        means["n_users"] = [float((served & ~cold).sum()), float((served & cold).sum())]
        return pd.DataFrame.from_dict(means, orient="index", columns=["warm", "cold"])

    def save(self, folder: str | Path) -> Path:
        """Write summary.json, per_user.parquet and lists.npz; the folder appears whole or not at all.

        A folder that is there already is replaced.
        """
        folder = Path(folder)
        with written_whole(folder) as fresh:
            self._write(fresh)
        return folder

    def _write(self, folder: Path) -> None:
        record = {
            "format": FORMAT,
            "algorithm": self.algorithm,
            "parameters": self.parameters,
            "summary": _nulls(self.summary),
            "cost": _nulls(asdict(self.cost)),
            "protocol": self.protocol,
            "dataset_hash": self.dataset_hash,
            "split_hash": self.split_hash,
            "warnings": list(self.warnings),
        }
        (folder / "summary.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        self.per_user.to_parquet(folder / "per_user.parquet")
        if self.lists is not None:
            arrays: dict[str, Any] = {"users": self.lists.users, "items": self.lists.items, "scores": self.lists.scores}
            if self.lists.tied_at_cutoff is not None:
                arrays["tied_at_cutoff"] = self.lists.tied_at_cutoff
            np.savez_compressed(folder / "lists.npz", allow_pickle=False, **arrays)

    @classmethod
    def load(cls, folder: str | Path) -> Evaluation:
        """The evaluation that ``save`` wrote, equal to the last digit."""
        folder = Path(folder)
        if not (folder / "summary.json").is_file():
            raise FileNotFoundError(f"no evaluation in {folder}: summary.json is missing; Evaluation.save writes it")
        record = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError(f"{folder} is written in format {record['format']}; this version reads format {FORMAT}")
        lists = None
        if (folder / "lists.npz").is_file():
            with np.load(folder / "lists.npz", allow_pickle=False) as arrays:
                lists = RankedLists(**{name: arrays[name] for name in arrays.files})
        return cls(
            summary=_numbers(record["summary"]),
            per_user=pd.read_parquet(folder / "per_user.parquet"),
            lists=lists,
            cost=Cost(**_numbers(record["cost"])),
            protocol=record["protocol"],
            dataset_hash=record["dataset_hash"],
            split_hash=record["split_hash"],
            algorithm=record["algorithm"],
            parameters=record["parameters"],
            warnings=tuple(record["warnings"]),
        )


def mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """The mean over users, the only place where it is taken: without NaN; NaN when nothing is left."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _nulls(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}


def _numbers(values: dict[str, float | None]) -> dict[str, float]:
    return {name: float("nan") if value is None else value for name, value in values.items()}
