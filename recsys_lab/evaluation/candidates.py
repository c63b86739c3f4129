"""Which items may be listed: what is known at the end of train, the whole catalogue, or a given list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.data.interactions import Bool, Catalogue, Int32, Int64
from recsys_lab.evaluation.relevance import find_in_rows

if TYPE_CHECKING:
    from recsys_lab.splits import Split

GivenCandidates: TypeAlias = "Literal['known', 'catalogue'] | Int32 | Sequence[Any] | sparse.csr_matrix | None"


@dataclass(frozen=True, eq=False)
class Candidates:
    """The items that may be listed. Exactly one of ``codes`` (for all users) and ``per_user`` is set."""

    codes: Int32 | None  # (n_candidates,) sorted
    per_user: sparse.csr_matrix | None  # (n_users, n_items); what is stored may be listed
    card: dict[str, Any]  # goes into the protocol and its hash

    def of(self, users: Int32) -> Int32 | sparse.csr_matrix | None:
        """What ``recommend`` takes for these users."""
        return self.codes if self.per_user is None else self.per_user[users]

    def counts(self, users: Int32) -> Int64:
        """Number of candidates of each user."""
        if self.codes is not None:
            return np.full(len(users), len(self.codes), dtype=np.int64)
        assert self.per_user is not None
        return np.asarray(np.diff(self.per_user.indptr)[users], dtype=np.int64)

    def allow(self, users: Int32, items: Int32) -> Bool:
        """Whether each listed item (n, k) of ``users`` (n,) is a candidate; True in the fills."""
        if self.codes is not None:
            allowed = np.zeros(int(max(items.max(initial=-1), self.codes.max(initial=-1))) + 2, dtype=np.bool_)
            allowed[self.codes] = True
            allowed[-1] = True  # answers for -1
            return np.asarray(allowed[items])
        return np.asarray(find_in_rows(items, users, self.per_user) | (items < 0))


def resolve_candidates(given: GivenCandidates, split: Split) -> Candidates:
    """Candidates from what the caller gave.

    None: ``split.candidates`` if the split has them, else "known". "known": the items that occur in train or in the
    history. "catalogue": every item of the catalogue. An int32 array: item codes. A CSR (n_users, n_items): each user's
    own. Any other sequence: external item ids.

    Raises ValueError for an unknown id or code and for a wrong shape.
    """
    catalogue = split.train.catalogue
    if given is None:
        own = getattr(split, "candidates", None)
        given = "known" if own is None else own
    if sparse.issparse(given):
        return _per_user(sparse.csr_matrix(given), catalogue)
    if isinstance(given, str):
        if given == "known":
            return Candidates(known_items(split), None, {"kind": "known"})
        if given == "catalogue":
            return Candidates(np.arange(catalogue.n_items, dtype=np.int32), None, {"kind": "catalogue"})
        raise ValueError(f"candidates are 'known', 'catalogue', item ids or a matrix; found {given!r}")
    codes = _codes(given, catalogue)
    return Candidates(codes, None, {"kind": "list", "n": len(codes), "sha256": _sha256(catalogue, codes)})


def known_items(split: Split) -> Int32:
    """Codes of the items that occur in train or in the history, sorted."""
    present = split.train.item_popularity > 0
    if split.history is not split.train:
        present = present | (split.history.item_popularity > 0)
    return np.flatnonzero(present).astype(np.int32)


def _codes(given: Any, catalogue: Catalogue) -> Int32:
    if isinstance(given, np.ndarray) and given.dtype == np.int32:
        codes = np.unique(given)
        if codes.size and (codes[0] < 0 or codes[-1] >= catalogue.n_items):
            found = f"{codes[0]} ... {codes[-1]}"
            raise ValueError(f"int32 candidates are item codes 0 ... {catalogue.n_items - 1}; found {found}")
        return codes
    wanted = pd.Index(given)
    codes = catalogue.item_ids.get_indexer(wanted)
    if (codes < 0).any():
        raise ValueError(
            f"candidate {wanted[int(np.argmax(codes < 0))]!r} is no item id of the catalogue; "
            f"ids look like {catalogue.item_ids[0]!r} (codes must come as an int32 array)"
        )
    return np.unique(codes).astype(np.int32)


def _per_user(matrix: sparse.csr_matrix, catalogue: Catalogue) -> Candidates:
    if matrix.shape != (catalogue.n_users, catalogue.n_items):
        raise ValueError(
            f"a candidate matrix has one row a user and one column an item: {(catalogue.n_users, catalogue.n_items)}; "
            f"found {matrix.shape}"
        )
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    digest = _sha256(catalogue, np.arange(catalogue.n_items), matrix.indptr.astype("<i8"), matrix.indices.astype("<i8"))
    return Candidates(None, matrix, {"kind": "per_user", "n": int(matrix.nnz), "sha256": digest})


def _sha256(catalogue: Catalogue, codes: Any, *arrays: Any) -> str:
    names = [str(item_id) for item_id in catalogue.item_ids[codes]]
    digest = hashlib.sha256("\x1f".join(names if arrays else sorted(names)).encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()
