"""Checks of the data: what the content of items is made of (L06), what filters saw and dropped (L13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys_lab.checks.check import Check
from recsys_lab.data.interactions import Catalogue, Float64, Interactions

if TYPE_CHECKING:
    from recsys_lab.splits import Split

MANY_LOST = 0.2  # share of rows that filters may drop before L13 warns
ROW_BY_ROW = ("minimum_rating", "binarise", "duplicates")  # filters that decide without a look at other users or items
SUSPICIOUS = 0.95  # correlation of a static column with what users did in the test part
FEW_ITEMS = 30  # below so many items a correlation says nothing
# a column of the table of items and the kind of features that is made of it
SAME = {"genres": "genre", "tags": "tag", "title": "word"}


def filter_check(info: Mapping[str, Any]) -> Check:
    """L13: filters that decided by rows of the test part too, or dropped more than 20 % of the rows."""
    filters: list[dict[str, Any]] = list(info.get("filters") or [])
    if not filters:
        return Check("L13", "W", True, 0.0, "no filters")
    before, after = filters[0]["rows_before"], filters[-1]["rows_after"]
    lost = 1.0 - after / before if before else 0.0
    found = []
    if lost > MANY_LOST:
        found.append(f"filters dropped {lost:.1%} of {before} rows; results hold for the {after} rows left")
    seeing = [
        str(one["name"]) for one in filters if one["name"] not in ROW_BY_ROW and one["rows_after"] < one["rows_before"]
    ]
    if seeing:
        found.append(f"{', '.join(seeing)} looked at all rows, those of test too, before the split")
    message = "; ".join(found) or f"filters dropped {lost:.1%} of {before} rows"
    return Check("L13", "W", not found, lost, message)


def content_check(split: Split) -> Check:
    """L06: every content column is declared, and no static one tells how the test part comes out.

    Declared is ``catalogue.info["content"]``: column or kind of features -> "static" (known before any user came) or
    "train_derived" (made from what users did). The value is the highest correlation (the larger of Pearson's and, for
    columns of numbers, Spearman's, without sign) of a static column with the rows, or the mean rating, of each item in
    the test part; None below 30 items.
    """
    catalogue = split.train.catalogue
    declared = dict(catalogue.info.get("content") or {})
    names = content_names(catalogue)
    if not names:
        return Check("L06", "W", True, None, "the items have no content")
    found = []
    unknown = [name for name in names if _declaration(name, declared) is None]
    if unknown:
        right = ", ".join(f"{name}: static" for name in unknown)
        found.append(f"not declared: {', '.join(unknown)}; add dataset.content: {{{right}}}, or train_derived")
    derived = [name for name in names if _declaration(name, declared) == "train_derived"]
    if derived and split.card.strategy != "fixed":
        found.append(f"{', '.join(derived)}: made before this split from what users did, so rows of test may be in it")
    highest, name, target = _highest_correlation(split, [one for one in names if one not in derived])
    if highest is not None and highest > SUSPICIOUS:
        found.append(f"{name} correlates {highest:.3f} with the {target} of the items in test; is it made of it?")
    if highest is None:
        sound = f"{', '.join(names)}: declared; too few items in test to correlate"
    else:
        sound = f"{', '.join(names)}: declared; highest correlation with test {highest:.2f} ({name})"
    return Check("L06", "W", not found, highest, "; ".join(found) or sound)


def content_names(catalogue: Catalogue) -> list[str]:
    """The columns of the table of items, and the kinds of features that are made of none of them."""
    columns = [str(column) for column in catalogue.items.columns]
    kinds = dict.fromkeys(name.partition(":")[0] for name in catalogue.feature_names)
    made_of = {SAME.get(column, column) for column in columns}
    return columns + [kind for kind in kinds if kind not in made_of]


def _declaration(name: str, declared: Mapping[str, str]) -> str | None:
    """What is declared of a column, by its name or by that of the features made of it."""
    other = {**SAME, **{kind: column for column, kind in SAME.items()}}.get(name, name)
    return declared.get(name, declared.get(other))


def _highest_correlation(split: Split, names: list[str]) -> tuple[float | None, str, str]:
    """The highest correlation of the named columns with what happened in test, the column and with what."""
    best: tuple[float | None, str, str] = (None, "", "")
    for target, values, items in _targets(split.test):
        if len(items) < FEW_ITEMS or np.ptp(values) == 0:
            continue
        for name, correlation in _correlations(split.train.catalogue, names, values, items):
            if best[0] is None or correlation > best[0]:
                best = correlation, name, target
    return best


def _targets(test: Interactions) -> list[tuple[str, Float64, Any]]:
    counts = test.item_popularity.astype(np.float64)
    present = np.flatnonzero(counts)
    sums = np.bincount(test.items, weights=test.ratings, minlength=test.n_items)
    everything = np.arange(test.n_items)
    return [("popularity", counts, everything), ("mean rating", sums[present] / counts[present], present)]


def _correlations(catalogue: Catalogue, names: list[str], values: Float64, items: Any) -> list[tuple[str, float]]:
    found = []
    for name in names:
        if name in catalogue.items.columns:
            column = pd.to_numeric(catalogue.items[name], errors="coerce").to_numpy(dtype=np.float64)[items]
            known = np.isfinite(column)
            if known.sum() >= FEW_ITEMS and np.ptp(column[known]) > 0 and np.ptp(values[known]) > 0:
                pair = column[known], values[known]
                ranks = pd.Series(pair[0]).rank(), pd.Series(pair[1]).rank()
                found += [(name, abs(float(np.corrcoef(one, other)[0, 1]))) for one, other in (pair, ranks)]
    return found + _feature_correlations(catalogue, names, values, items)


def _feature_correlations(
    catalogue: Catalogue, names: list[str], values: Float64, items: Any
) -> list[tuple[str, float]]:
    """Pearson's correlation of every feature of these kinds, the highest of all; one product of a sparse matrix."""
    if catalogue.item_features is None:
        return []
    kinds = {SAME.get(name, name) for name in names}
    columns = [place for place, name in enumerate(catalogue.feature_names) if name.partition(":")[0] in kinds]
    if not columns:
        return []
    matrix = catalogue.item_features[items].astype(np.float64)
    centred = values - values.mean()
    means = np.asarray(matrix.mean(axis=0)).ravel()
    spread = np.asarray(matrix.multiply(matrix).mean(axis=0)).ravel() - means**2
    covariance = np.asarray(matrix.T @ centred).ravel() / len(values)
    scale = np.sqrt(np.maximum(spread, 0.0)) * centred.std()
    correlation = np.abs(np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 1e-9))
    place = columns[int(np.argmax(correlation[columns]))]
    return [(str(catalogue.feature_names[place]), float(correlation[place]))]
