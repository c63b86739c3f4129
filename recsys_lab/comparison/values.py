"""The numbers that are compared: one value a user and model, after it is certain that they may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys_lab.comparison.same import check_same, check_users, difference_of_users
from recsys_lab.metrics.definitions import refuse_sampled

if TYPE_CHECKING:
    from recsys_lab.evaluation import Evaluation

# micro errors are ratios of sums: metric -> (column of each user's sum of errors, whether a root is taken)
MICRO = {
    "rmse": ("sse", True),
    "mae": ("sae", False),
    "rmse_unclipped": ("sse_unclipped", True),
    "mae_unclipped": ("sae_unclipped", False),
}
MACRO = {f"{name}_macro": name for name in ("rmse", "mae")} | {
    f"{name}_macro_unclipped": f"{name}_unclipped" for name in ("rmse", "mae")
}


@dataclass(frozen=True, eq=False)
class Measured:
    """``values`` and ``ordered``, (n_users, n_models): what is averaged, and what decides who wins for a user.

    ``by_split`` maps a model to its means on each split, in the same order for all; ``seed_sd`` is the standard
    deviation of the means over seeds (NaN for one seed).
    """

    values: pd.DataFrame
    ordered: pd.DataFrame
    by_split: dict[str, Any]
    n_seeds: dict[str, int]
    seed_sd: dict[str, float]
    notes: tuple[str, ...]
    dataset_hash: str
    protocol: dict[str, Any]
    rolling: bool = False  # the splits are windows that follow one another in time, not folds of one k_fold

    @property
    def n_splits(self) -> int:
        """How many folds or windows; 1 for a single split."""
        return len(next(iter(self.by_split.values())))

    @property
    def tests_folds(self) -> bool:
        """Whether differences are tested over folds; over users otherwise."""
        return self.n_splits > 1 and not self.rolling


def measured_values(
    evaluations: Mapping[str, Evaluation | Sequence[Evaluation]], primary: str, *, rolling: bool = False
) -> Measured:
    """Each model's values by user; ``rolling``: the splits are windows in time.

    Raises ValueError when data, splits, protocols or users are not the same, and for metrics on drawn candidates.
    """
    refuse_sampled(primary)
    runs = {name: _as_list(name, given) for name, given in evaluations.items()}
    check_same(runs)
    splits = list(dict.fromkeys(one.split_hash for one in next(iter(runs.values()))))
    everything = [one for given in runs.values() for one in given]
    micro = primary in MICRO and all({MICRO[primary][0], "n_pairs"} <= set(one.per_user) for one in everything)
    columns = [MICRO[primary][0], "n_pairs"] if micro else [_column(runs, primary)]
    parts = {name: [_over_seeds(name, given, split, columns) for split in splits] for name, given in runs.items()}
    check_users(parts, micro)
    pooled = {name: _over_folds(frames, micro) for name, frames in parts.items()}
    value = (lambda frame: _micro(frame, primary)) if micro else (lambda frame: frame.iloc[:, 0])
    n_seeds = {name: len(given) // len(splits) for name, given in runs.items()}
    return Measured(
        values=pd.DataFrame({name: value(frame) for name, frame in pooled.items()}),
        ordered=pd.DataFrame({name: frame.iloc[:, 0] for name, frame in pooled.items()}),
        by_split={name: np.array([value(frame).mean() for frame in frames]) for name, frames in parts.items()},
        n_seeds=n_seeds,
        seed_sd={name: _seed_sd(given, splits, columns, value) for name, given in runs.items()},
        notes=tuple(_notes(n_seeds, len(splits), rolling)),
        dataset_hash=everything[0].dataset_hash,
        protocol=dict(everything[0].protocol),
        rolling=rolling,
    )


def _as_list(name: str, given: Any) -> list[Any]:
    found = list(given) if isinstance(given, list | tuple) else [given]
    if not found:
        raise ValueError(f"model {name!r} has no evaluation")
    for one in found:
        if not hasattr(one, "per_user"):
            raise TypeError(f"model {name!r} needs what evaluate returns; found a {type(one).__name__}")
    return found


def _column(runs: Mapping[str, list[Any]], primary: str) -> str:
    column = MACRO.get(primary, primary)
    for name, given in runs.items():
        for one in given:
            if column not in one.per_user:
                raise ValueError(
                    f"{primary!r} is not measured per user for model {name!r}, so it cannot be tested; "
                    f"measured per user: {', '.join(map(str, one.per_user.columns))}"
                )
    return column


def _over_seeds(name: str, given: list[Any], split: str, columns: list[str]) -> pd.DataFrame:
    """The mean over the seeds of one split, by user, without users for whom the metric is not defined."""
    frames = [_defined(one, columns) for one in given if one.split_hash == split]
    for frame in frames[1:]:
        if not frame.index.equals(frames[0].index):
            raise ValueError(
                f"the seeds of model {name!r} have different users: {difference_of_users(frames[0], frame)}"
            )
    total: pd.DataFrame = frames[0]
    for frame in frames[1:]:
        total = total + frame
    mean: pd.DataFrame = total / len(frames)
    return mean


def _defined(one: Any, columns: list[str]) -> pd.DataFrame:
    frame: pd.DataFrame = one.per_user[columns].astype(np.float64).sort_index().dropna()
    if "n_pairs" in frame:
        frame = frame[frame["n_pairs"] > 0]
    if not len(frame):
        raise ValueError(f"{columns[0]!r} is defined for no user of {one.algorithm}; nothing can be compared")
    return frame


def _over_folds(frames: list[pd.DataFrame], micro: bool) -> pd.DataFrame:
    """One row a user: the mean over the folds that test the user; sums of errors are added up."""
    if len(frames) == 1:
        return frames[0]
    grouped = pd.concat(frames).groupby(level=0, sort=True)
    pooled: pd.DataFrame = grouped.sum() if micro else grouped.mean()
    return pooled


def _micro(frame: pd.DataFrame, primary: str) -> pd.Series[float]:
    """Values by user whose mean is the micro error, and whose spread is that of the micro error (delta method).

    For a ratio r = S/N of sums over users, user u has r + (S_u - r · N_u) / mean N; a root √r is followed linearly.
    """
    column, root = MICRO[primary]
    sums, pairs = frame[column], frame["n_pairs"]
    ratio = float(sums.sum() / pairs.sum())
    parts = (sums - ratio * pairs) / float(pairs.mean())
    if not root:
        return ratio + parts
    error = float(np.sqrt(ratio))
    return error + (parts / (2 * error) if error > 0 else parts)


def _seed_sd(given: list[Any], splits: list[str], columns: list[str], value: Any) -> float:
    """Standard deviation of the mean over seeds, averaged over splits; NaN for one seed."""
    spreads = []
    for split in splits:
        means = [float(value(_defined(one, columns)).mean()) for one in given if one.split_hash == split]
        spreads.append(float(np.std(means, ddof=1)) if len(means) > 1 else float("nan"))
    return float(np.mean(spreads))


def _notes(n_seeds: Mapping[str, int], n_splits: int, rolling: bool) -> list[str]:
    notes = []
    if max(n_seeds.values()) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in n_seeds.items())
        notes.append(f"a user's value is the mean over the seeds of a model (seeds: {counts})")
    if n_splits > 1 and rolling:
        notes.append(
            f"a user's value is pooled over the windows (of {n_splits}) that test the user, and differences are tested "
            "over users: they hold for these windows, and the curve over time says how steady they are"
        )
    elif n_splits > 1:
        notes.append(f"a user's value is pooled over the folds (of {n_splits}) that test the user; a user counts once")
        notes.append(
            f"differences are tested by Nadeau and Bengio's corrected t over {n_splits} folds "
            f"({n_splits - 1} degrees of freedom): train sets of folds overlap"
        )
    return notes
