"""Items that occur together, weighted by how much and how recently a user liked them: SAR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeAlias, get_args

import numpy as np
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout, Maybe
from recsys_lab.algorithms.similarity import BLOCK_BYTES, history_parts, parts
from recsys_lab.algorithms.sparse_rows import item_scores, largest_of_columns
from recsys_lab.algorithms.weighting import ones_like
from recsys_lab.compiled import njit, prange
from recsys_lab.data.interactions import Float32, Int32, Interactions

ItemSimilarity: TypeAlias = Literal["jaccard", "lift", "cooccurrence", "cosine", "inclusion"]
SECONDS_A_DAY = 86_400


@dataclass(kw_only=True, eq=False)
class SAR(Algorithm):
    """Simple algorithm for recommendation, as microsoft/recommenders documents it: score = affinity × similarity.

    c_ij = users with both items; similarities: jaccard c_ij / (c_ii + c_jj - c_ij), lift c_ij / (c_ii c_jj),
    cooccurrence c_ij, cosine c_ij / sqrt(c_ii c_jj), inclusion c_ij / min(c_ii, c_jj). An item is similar to itself.
    The affinity of a user to an item is the sum of the ratings, each times 0.5 ** (age / half_life_days), ages from
    the last training row. For an item of the history that training does not have for this user, and for data without
    times, it is the rating in the history itself: such rows count as of now.
    """

    stored: ClassVar[Layout] = {"weights_": "csr float32 items items", "affinities_": Maybe("csr float32 users items")}

    serves_new_users: ClassVar[bool] = True

    similarity: ItemSimilarity = "jaccard"  # jaccard, lift, cooccurrence, cosine or inclusion
    half_life_days: float = 30.0  # days after which a rating counts half; inf: no decay
    min_support: int = 1  # items with fewer users in common are not similar
    n_neighbors: int = 0  # similar items kept for each item scored, itself included; 0: all, as in the reference
    uses_ratings: bool = True  # False: every row counts as 1 in the affinity

    def fit(self, train: Interactions) -> Self:
        require_choice("similarity", self.similarity, get_args(ItemSimilarity))
        require(self.half_life_days > 0, f"half_life_days must be above 0; found {self.half_life_days}")
        require(self.min_support >= 1, f"min_support must be at least 1; found {self.min_support}")
        require(self.n_neighbors >= 0, f"n_neighbors must be 0 (all) or more; found {self.n_neighbors}")
        rows = train.canonical()
        self.weights_ = self._similarities(ones_like(rows.matrix))  # (items of the history, items scored) float32
        self.affinities_: sparse.csr_matrix | None = None  # (n_users, n_items) float32, indices sorted
        if rows.timestamps is not None and np.isfinite(self.half_life_days):
            last = rows.timestamps.max() if len(rows) else 0
            decay = 0.5 ** ((last - rows.timestamps) / SECONDS_A_DAY / self.half_life_days)
            values = (rows.ratings if self.uses_ratings else 1.0) * decay
            order = np.lexsort((rows.items, rows.users))
            sums = sparse.coo_matrix(
                (values[order], (rows.users[order], rows.items[order])), shape=(train.n_users, train.n_items)
            ).tocsr()
            sums.sort_indices()
            self.affinities_ = sums.astype(np.float32)
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Affinity × similarity, (b, n_items) float32; 0 where nothing in the history is similar."""
        rows = histories if self.uses_ratings else ones_like(histories)
        ptr, idx, val = history_parts(rows, self.weights_.shape[0])
        if self.affinities_ is not None:
            val = _known(np.asarray(users, dtype=np.int32), ptr, idx, val, *parts(self.affinities_))
        return item_scores(rows, self.weights_, values=val)

    def _similarities(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        """Similarities of all pairs of items, block by block of the items scored; sparse."""
        by_item, n_items = rows.T.tocsr(), rows.shape[1]
        counts = np.diff(by_item.indptr).astype(np.float64)
        step = max(1, BLOCK_BYTES // (16 * max(1, n_items)))
        blocks = [sparse.csc_matrix((n_items, 0), dtype=np.float32)]
        for start in range(0, n_items, step):
            together = (by_item[start : start + step] @ rows).tocoo()  # scored items × history items
            kept = together.data >= self.min_support
            i, j, shared = together.row[kept], together.col[kept], together.data[kept].astype(np.float64)
            values = _similarity(self.similarity, shared, counts[i + start], counts[j]).astype(np.float32)
            shape = (n_items, together.shape[0])
            block = sparse.csr_matrix((values, (j, i)), shape=shape)
            blocks.append(largest_of_columns(block, self.n_neighbors).tocsc() if self.n_neighbors else block.tocsc())
        found = sparse.hstack(blocks, format="csr", dtype=np.float32)
        found.sort_indices()
        return found


def _similarity(kind: str, shared, left, right):  # type: ignore[no-untyped-def]
    """Similarities (n,) of pairs with ``shared`` users in common and ``left`` and ``right`` users each."""
    if kind == "jaccard":
        return shared / (left + right - shared)
    if kind == "lift":
        return shared / (left * right)
    if kind == "cosine":
        return shared / np.sqrt(left * right)
    if kind == "inclusion":
        return shared / np.minimum(left, right)
    return shared


@njit(parallel=True)
def _known(users, ptr, idx, val, a_ptr, a_idx, a_val):  # type: ignore[no-untyped-def]
    """``val`` with the affinity known from training in place of each entry whose user and item it has."""
    values = val.copy()
    for row in prange(users.size):
        if users[row] < 0:
            continue
        first, last = a_ptr[users[row]], a_ptr[users[row] + 1]
        for p in range(ptr[row], ptr[row + 1]):
            place = first + np.searchsorted(a_idx[first:last], idx[p])
            if place < last and a_idx[place] == idx[p]:
                values[p] = a_val[place]
    return values
