"""What is measured: one ``Bench`` for each kernel, with its contenders, targets and the check of equal work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Check = Literal["recall", "lists", "values", "none"]


@dataclass(frozen=True)
class Contender:
    """A job of a module in ``sides``, run in the environment of ``peer`` (None: the project's own)."""

    label: str
    side: str
    job: str
    peer: str | None = None


@dataclass(frozen=True)
class Row:
    """One phase of the jobs. Targets: the best peer's median / ours at least, or our median at most, or our memory."""

    title: str
    phase: str
    ratio: float | None = None
    seconds: float | None = None
    megabytes: float | None = None


@dataclass(frozen=True)
class Bench:
    """Contenders, ours first, which take turns.

    Check of what they led to: "recall" of the lists within ``tolerance`` (relative) of the best peer's or above;
    "lists": the same items but for a share of ``tolerance``; "values": the same numbers within 0.001 but for a
    share of ``tolerance``; "none": nothing to compare.
    """

    name: str
    rows: tuple[Row, ...]
    contenders: tuple[Contender, ...]
    check: Check = "none"
    tolerance: float = 0.01
    rounds: int = 5


def _against(job: str, *peers: str, side: str = "ours") -> tuple[Contender, ...]:
    """Ours, then peers; "plain" runs in the project's own environment, "implicit/bpr_1" names another job."""
    contenders = [Contender("recsys_lab", side, job)]
    for peer in peers:
        name, _, other = peer.partition("/")
        label = f"{name} ({other.replace('_', ' ')})" if other else name
        if name == "plain":
            contenders.append(Contender("NumPy / SciPy", "plain", job))
        else:
            contenders.append(Contender(label, f"{name}_side", other or job, name))
    return tuple(contenders)


def _ratings(job: str, title: str, ratio: float, tolerance: float) -> Bench:
    rows = (Row(title, "rank" if job.startswith("rank") else "both", ratio=ratio),)
    return Bench(job, rows, _against(job, "surprise", side="ours_ratings"), "values", tolerance, rounds=3)


def _alone(job: str, *rows: Row, side: str = "ours_stack") -> Bench:
    return Bench(job, rows, _against(job, side=side))


BENCHES = (
    Bench(
        "item_knn",
        (
            Row("item-kNN, cosine, k=100: fit", "fit", ratio=1.45, megabytes=100),
            Row("item-kNN: top 10 of all users", "rank", ratio=4.0),
        ),
        _against("item_knn", "implicit", "irspack"),
        "recall",
    ),
    Bench(
        "ease",
        (Row("EASE: fit", "fit", ratio=2.4, megabytes=330),),
        _against("ease", "irspack", "plain"),
        "recall",
        rounds=3,
    ),
    Bench(
        "ials",
        (Row("iALS, 64 factors, 15 epochs: fit", "fit", ratio=1.3, megabytes=100),),
        _against("ials", "irspack", "implicit"),
        "recall",
        rounds=3,
    ),
    Bench(
        "bpr",
        (Row("BPR, 64 factors, 10 epochs: fit", "fit", ratio=1.1, megabytes=100),),
        _against("bpr", "implicit", "implicit/bpr_one_thread"),
        "recall",
        tolerance=0.05,
        rounds=3,
    ),
    Bench(
        "top20",
        (Row("top 20 of all users from 64 factors", "rank", ratio=3.6),),
        _against("top20", "implicit", "plain"),
        "lists",
        tolerance=0.001,
    ),
    Bench(
        "metrics",
        (Row("15 metrics, values of every user", "measure", ratio=5.0),),
        _against("metrics", "rectools", "ranx", "plain"),
        "values",
        tolerance=0.0,
    ),
    _alone("evaluation", Row("full evaluation: top 20 and the default metrics", "measure", seconds=0.2), side="ours"),
    _ratings("knn_with_means", "KNNWithMeans (Pearson, k=40): fit and 20,000 predictions", 10, 0.02),
    _ratings("slope_one", "SlopeOne: fit and 20,000 predictions", 10, 0.0),
    _ratings("svd", "SVD (100 factors, 20 epochs): fit and 20,000 predictions", 4, 0.0),
    _ratings("rank_knn_with_means", "KNNWithMeans: every item for every user, against a predict loop", 100, 0.02),
    _ratings("rank_slope_one", "SlopeOne: every item for every user, against a predict loop", 100, 0.0),
    _alone("load", Row("load, first", "first", seconds=0.3), Row("load, prepared", "prepared", seconds=0.1)),
    _alone("split", Row("split, ten test rows a user", "split", seconds=0.2)),
    _alone("import", Row("import recsys_lab", "import", seconds=0.6, megabytes=120)),
    _alone("tracking", Row("tracking: one run on sqlite", "run", seconds=0.05)),
)
