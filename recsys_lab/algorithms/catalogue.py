"""Every algorithm by name, imported when it is made. ``python -m recsys_lab.algorithms.catalogue`` prints the table."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.hyper_parameters import did_you_mean

Family: TypeAlias = Literal["baseline", "collaborative_filtering", "content_based", "factorization"]
Need: TypeAlias = Literal["content", "time", "truth"]


@dataclass(frozen=True)
class Entry:
    """What can be known of an algorithm without importing it."""

    path: str  # "package.module:Class"
    family: Family
    task: Literal["ranking", "rating", "both"]  # rating: made to predict ratings, its ranking is by predicted rating
    description: str
    paper: str
    complexity: str  # of fit; n = training rows, k = n_neighbors or n_factors
    needs: tuple[Need, ...] = ()  # beyond users, items and ratings
    serves_new_users: bool = False
    stochastic: bool = False
    extra: str | None = None  # pip install "recsys_lab[extra]"


_HERE = "recsys_lab.algorithms."
_SURPRISE = _HERE + "surprise_models:"

# fmt: off
CATALOGUE: dict[str, Entry] = {
    "Random": Entry(
        _HERE + "baselines:Random", "baseline", "ranking", "a uniform number for each pair",
        paper="-", complexity="1", serves_new_users=True, stochastic=True,
    ),
    "Popularity": Entry(
        _HERE + "baselines:Popularity", "baseline", "ranking", "number of users of an item",
        paper="-", complexity="n", serves_new_users=True,
    ),
    "RecentPopularity": Entry(
        _HERE + "baselines:RecentPopularity", "baseline", "ranking", "popularity that halves with age",
        paper="Ji et al., SIGIR 2020", complexity="n", needs=("time",), serves_new_users=True,
    ),
    "Bias": Entry(
        _HERE + "baselines:Bias", "baseline", "rating", "mean + user bias + item bias",
        paper="Koren, TKDD 2010", complexity="epochs · n", serves_new_users=True,
    ),
    "Oracle": Entry(
        _HERE + "oracle:Oracle", "baseline", "both", "knows the truth of synthetic data: the best attainable score",
        paper="-", complexity="1", needs=("truth",),
    ),
    "UserKNN": Entry(
        _HERE + "neighborhood:UserKNN", "collaborative_filtering", "both", "what similar users took",
        paper="Resnick et al., CSCW 1994", complexity="n; score: sum of squared item counts", serves_new_users=True,
    ),
    "ItemKNN": Entry(
        _HERE + "neighborhood:ItemKNN", "collaborative_filtering", "both", "items similar to the history",
        paper="Sarwar et al., WWW 2001", complexity="sum of squared user counts", serves_new_users=True,
    ),
    "EASE": Entry(
        _HERE + "linear:EASE", "collaborative_filtering", "ranking", "closed-form linear autoencoder",
        paper="Steck, WWW 2019", complexity="items³", serves_new_users=True,
    ),
    "KNNBasic": Entry(
        _SURPRISE + "KNNBasic", "collaborative_filtering", "rating", "weighted mean of the neighbours' ratings",
        paper="Hug, JOSS 2020", complexity="sum of squared item counts",
    ),
    "KNNWithMeans": Entry(
        _SURPRISE + "KNNWithMeans", "collaborative_filtering", "rating", "the same on ratings less the mean",
        paper="Resnick et al., CSCW 1994", complexity="sum of squared item counts",
    ),
    "KNNWithZScore": Entry(
        _SURPRISE + "KNNWithZScore", "collaborative_filtering", "rating", "the same on z-scores",
        paper="Herlocker et al., SIGIR 1999", complexity="sum of squared item counts",
    ),
    "KNNBaseline": Entry(
        _SURPRISE + "KNNBaseline", "collaborative_filtering", "rating", "the same on ratings less the baseline",
        paper="Koren, TKDD 2010", complexity="sum of squared item counts",
    ),
    "SlopeOne": Entry(
        _SURPRISE + "SlopeOne", "collaborative_filtering", "rating", "mean differences between items",
        paper="Lemire and Maclachlan, SDM 2005", complexity="sum of squared user counts",
    ),
    "CoClustering": Entry(
        _SURPRISE + "CoClustering", "collaborative_filtering", "rating", "clusters of users and of items",
        paper="George and Merugu, ICDM 2005", complexity="epochs · n", stochastic=True,
    ),
    "ContentKNN": Entry(
        _HERE + "content:ContentKNN", "content_based", "ranking", "items with attributes like those of the history",
        paper="Lops et al., RS Handbook 2011", complexity="sum of squared feature counts",
        needs=("content",), serves_new_users=True,
    ),
    "UserProfile": Entry(
        _HERE + "content:UserProfile", "content_based", "ranking", "cosine of the user's feature profile and the item",
        paper="Pazzani and Billsus, 2007", complexity="features of all items",
        needs=("content",), serves_new_users=True,
    ),
    "PureSVD": Entry(
        _HERE + "factorization:PureSVD", "factorization", "ranking", "truncated SVD, missing = 0",
        paper="Cremonesi et al., RecSys 2010", complexity="iterations · n · k", serves_new_users=True, stochastic=True,
    ),
    "SVD": Entry(
        _SURPRISE + "SVD", "factorization", "rating", "biased matrix factorization by gradient steps",
        paper="Koren et al., IEEE Computer 2009", complexity="epochs · n · k", stochastic=True,
    ),
    "SVDpp": Entry(
        _SURPRISE + "SVDpp", "factorization", "rating", "SVD with what the user rated as implicit feedback",
        paper="Koren, KDD 2008", complexity="epochs · n · k · history", stochastic=True,
    ),
    "NMF": Entry(
        _SURPRISE + "NMF", "factorization", "rating", "non-negative matrix factorization",
        paper="Luo et al., IEEE TII 2014", complexity="epochs · n · k", stochastic=True,
    ),
    "BaselineOnly": Entry(
        _SURPRISE + "BaselineOnly", "baseline", "rating", "Surprise's mean + biases",
        paper="Koren, TKDD 2010", complexity="epochs · n",
    ),
    "NormalPredictor": Entry(
        _SURPRISE + "NormalPredictor", "baseline", "rating", "a draw from the distribution of all ratings",
        paper="Hug, JOSS 2020", complexity="n", stochastic=True,
    ),
}
# fmt: on


def make_algorithm(name: str, **hyper_parameters: Any) -> Algorithm:
    """An algorithm by its name in ``CATALOGUE``, or an own one as "package.module:Class" (found on sys.path).

    Raises ValueError for an unknown name or hyper-parameter, ImportError with the command to type where an optional
    library is missing, TypeError where an own class is no ``Algorithm``. Values are checked by ``fit``.
    """
    algorithm = algorithm_class(name)
    known = list(inspect.signature(algorithm).parameters)
    for parameter in hyper_parameters:
        if parameter not in known:
            listed = ", ".join(known) or "none"
            hint = did_you_mean(parameter, known) or "."
            raise ValueError(f"{name} has no hyper-parameter {parameter!r}{hint} It has: {listed}")
    return algorithm(**hyper_parameters)


def algorithm_class(name: str) -> type[Algorithm]:
    """The class of a name in ``CATALOGUE`` or of "package.module:Class"; errors as in ``make_algorithm``."""
    entry = CATALOGUE.get(name)
    if entry is None and ":" not in str(name):
        raise ValueError(
            f"unknown algorithm {name!r}{did_you_mean(name, CATALOGUE) or '.'} Known: {', '.join(sorted(CATALOGUE))}; "
            "an own one is named as 'package.module:Class'"
        )
    module_name, _, class_name = (entry.path if entry else name).partition(":")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise _import_error(name, entry, module_name, error) from error
    found = getattr(module, class_name, None)
    if found is None:
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise ValueError(f"module {module_name!r} has no class {class_name!r}{did_you_mean(class_name, classes)}")
    if not (isinstance(found, type) and issubclass(found, Algorithm)):
        raise TypeError(f"{name} must be a subclass of recsys_lab.Algorithm; found {found!r}")
    return found


def _import_error(name: str, entry: Entry | None, module_name: str, error: ImportError) -> ImportError:
    missing = error.name or str(error)
    if entry is not None and entry.extra:
        return ImportError(f'{name} needs {missing}: pip install "recsys_lab[{entry.extra}]"')
    if entry is None and module_name.split(".")[0] == missing.split(".")[0]:
        return ImportError(
            f"{name}: there is no module {missing!r} on the import path; start in the folder that holds it, "
            "or add that folder to PYTHONPATH"
        )
    return ImportError(f"{name} cannot be imported from {module_name}: {error}")


def markdown_table() -> str:
    """The catalogue as a Markdown table, as it stands in docs/algorithms.md."""
    lines = [
        "| algorithm | family | task | what it does | needs | new users | stochastic | cost of fit | source |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in CATALOGUE.items():
        needs = ", ".join(entry.needs + ((f"extra {entry.extra}",) if entry.extra else ())) or "-"
        new_users = "yes" if entry.serves_new_users else "no"
        seeds = "yes" if entry.stochastic else "no"
        lines.append(
            f"| {name} | {entry.family} | {entry.task} | {entry.description} | {needs} | {new_users} | {seeds} "
            f"| {entry.complexity} | {entry.paper} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown_table(), end="")
