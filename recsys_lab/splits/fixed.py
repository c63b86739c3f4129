"""``fixed_split``: parts that are given, as files, frames or Interactions, joined under one catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.data.interactions import Catalogue, Interactions
from recsys_lab.splits.card import Split, SplitCard, count_parts, find_warnings, future_leak_share, join
from recsys_lab.splits.given_candidates import candidate_frame, candidate_matrix
from recsys_lab.splits.given_parts import Columns, Part, part_formats, read_part
from recsys_lab.splits.rows import RowHasher

PARTS = ("train", "validation", "test")


def fixed_split(
    train: Part,
    test: Part,
    validation: Part | None = None,
    *,
    format: str | Mapping[str, str] = "pairs",
    candidates: Part | None = None,
    drop_seen_candidates: bool = True,
    row_order: str = "canonical",
    items: pd.DataFrame | None = None,
    info: Mapping[str, Any] | None = None,
    user: str = "user_id",
    item: str = "item_id",
    rating: str | None = "rating",
    timestamp: str | None = "timestamp",
    sep: str | None = None,
    duplicates: str = "error",
) -> Split:
    """A split from given parts. Users and items of all parts form one catalogue, ids sorted.

    A part is Interactions, a frame, a file with a header (CSV, TSV, Parquet; columns by ``user``, ``item``, ...) or a
    published file without one. ``format`` of such files, one word or a mapping part -> word: "pairs" ("user item
    [rating [timestamp]]" in columns), "lists" ("user item item ..."), "candidates" (the test file only: "user positive
    negative negative ..."; train and validation are pairs then). Files are looked for as given, then below
    RECSYS_LAB_DATA; their sha256 stands in the card.

    ``candidates``: the items to rank for each user, where they come apart from the test part: a file of lists or a
    frame with user_id and item_id. A candidate the user has in train is dropped, unless it is a test item of the user
    or ``drop_seen_candidates`` is False. ``items``: a frame of item content, indexed by item id; its items join the
    catalogue. ``row_order="file"``: fits see the rows in the order of the files. ``info``: name, licence, source, ...

    Raises ValueError when the ids of the parts differ in type, when only some parts have ratings, or a part is empty;
    times are kept when all parts have them, and the card warns otherwise.
    """
    if row_order not in ("canonical", "file"):
        raise ValueError(f"row_order must be 'canonical' or 'file'; found {row_order!r}")
    columns = Columns(user, item, rating, timestamp, sep, duplicates)
    formats = part_formats(format)
    given = {name: part for name, part in zip(PARTS, (train, validation, test)) if part is not None}
    read = {name: read_part(part, formats[name], columns) for name, part in given.items()}
    frames = {name: frame for name, (frame, _) in read.items()}
    sources = {name: source for name, (_, source) in read.items()}
    to_rank = candidate_frame(frames, candidates, columns, sources)
    notes = _agree(frames, formats, to_rank)
    parts = _join_parts(frames, given, items, to_rank, _about(info, given, sources))
    if row_order == "file":
        parts = {name: replace(part, file_order=True) for name, part in parts.items()}
    parameters = {"format": formats, "sources": sources, "row_order": row_order}
    return _as_split(parts, parameters, to_rank, drop_seen_candidates, notes)


def _as_split(
    parts: dict[str, Interactions],
    parameters: dict[str, Any],
    to_rank: pd.DataFrame | None,
    drop_seen: bool,
    notes: list[str],
) -> Split:
    train, validation = parts["train"], parts.get("validation")
    chosen = dropped = None
    if to_rank is not None:
        chosen, dropped = candidate_matrix(to_rank, parts, drop_seen)
        parameters["drop_seen_candidates"] = drop_seen
    card = _card(parts, parameters, chosen, dropped, notes)
    return Split(train, validation, parts["test"], join(train, validation), card, chosen)


def _agree(frames: dict[str, pd.DataFrame], formats: Mapping[str, str], to_rank: pd.DataFrame | None) -> list[str]:
    """Check that the parts fit together; fill in the ratings of candidates; drop times that only some parts have."""
    for name, frame in frames.items():
        if not len(frame):
            raise ValueError(f"the {name} part has no rows")
    everything = frames if to_rank is None else {**frames, "candidates": to_rank}
    for column in ("user_id", "item_id"):
        kinds = {name: "numbers" if part[column].dtype.kind in "iu" else "text" for name, part in everything.items()}
        if len(set(kinds.values())) > 1:
            raise ValueError(f"{column} must be of one type in all parts; found {kinds}")
    notes = []
    rated = {name: "rating" in frame for name, frame in frames.items()}
    if len(set(rated.values())) > 1:
        if formats["test"] != "candidates" or rated["test"]:
            raise ValueError(f"all parts or none must have ratings; found {rated}")
        frames["test"] = frames["test"].assign(rating=1.0)
        notes.append("the test part is a list of candidates without ratings; its positives count as rated 1")
    timed = [name for name, frame in frames.items() if "timestamp" in frame]
    if timed and len(timed) < len(frames):
        for name in timed:
            frames[name] = frames[name].drop(columns="timestamp")
        notes.append(f"only {', '.join(timed)} had times; they were left out")
    return notes


def _join_parts(
    frames: dict[str, pd.DataFrame],
    given: Mapping[str, Part],
    items: pd.DataFrame | None,
    to_rank: pd.DataFrame | None,
    info: dict[str, Any],
) -> dict[str, Interactions]:
    present = [part.catalogue for part in given.values() if isinstance(part, Interactions)]
    if items is None and present:
        tables = pd.concat([catalogue.items.set_axis(catalogue.item_ids, axis=0) for catalogue in present])
        items = tables[~tables.index.duplicated()]
    if to_rank is not None:
        known = pd.Index([]) if items is None else items.index
        fresh = pd.Index(to_rank["item_id"].unique()).difference(known)
        items = pd.concat([items, pd.DataFrame(index=fresh)]) if items is not None else pd.DataFrame(index=fresh)
    union = pd.concat(list(frames.values()), ignore_index=True)
    whole = Interactions.from_frame(
        union,
        rating="rating" if "rating" in union else None,
        timestamp="timestamp" if "timestamp" in union else None,
        items=items,
        info=info,
    )
    whole = replace(whole, catalogue=_with_features(whole.catalogue, present))
    ends = np.cumsum([len(frame) for frame in frames.values()])
    return {name: whole.select(np.arange(end - len(frames[name]), end)) for name, end in zip(frames, ends.tolist())}


def _with_features(catalogue: Catalogue, present: list[Catalogue]) -> Catalogue:
    """The item features of the first part that has any; items it does not know have an empty row."""
    for other in present:
        if other.item_features is None:
            continue
        codes = other.item_ids.get_indexer(catalogue.item_ids)
        empty = sparse.csr_matrix((1, other.item_features.shape[1]), dtype=other.item_features.dtype)
        stacked = sparse.vstack([other.item_features, empty], format="csr")
        features = sparse.csr_matrix(stacked[np.where(codes < 0, stacked.shape[0] - 1, codes)])
        return replace(catalogue, item_features=features, feature_names=other.feature_names)
    return catalogue


def _about(
    info: Mapping[str, Any] | None, given: Mapping[str, Part], sources: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    train = given["train"]
    if isinstance(train, Interactions):
        about: dict[str, Any] = dict(train.catalogue.info)
    else:
        about = {"name": Path(train).stem if isinstance(train, str | Path) else "given parts", "filters": []}
    hashes = {name: source["sha256"] for name, source in sources.items() if "sha256" in source}
    if hashes:
        about["raw_sha256"] = hashes
    return {**about, **(info or {})}


def _card(
    parts: Mapping[str, Interactions],
    parameters: dict[str, Any],
    candidates: sparse.csr_matrix | None,
    n_dropped: int | None,
    notes: list[str],
) -> SplitCard:
    train, validation, test = parts["train"], parts.get("validation"), parts["test"]
    hasher = RowHasher(train.catalogue)
    fingerprint = hasher.parts({"train": train, "validation": validation, "test": test})
    counts = count_parts(parts)
    if candidates is not None:
        rows = Interactions(
            np.repeat(np.arange(train.n_users, dtype=np.int32), np.diff(candidates.indptr)),
            candidates.indices.astype(np.int32),
            candidates.data,
            None,
            train.catalogue,
        )
        listed = hasher.parts({"candidates": rows})
        fingerprint = hashlib.sha256(f"{fingerprint} {listed}".encode()).hexdigest()
        counts |= {"n_candidates": int(candidates.nnz), "n_candidates_dropped": int(n_dropped or 0)}
    whole = join(join(train, validation), test)
    return SplitCard(
        strategy="fixed",
        parameters=parameters,
        seed=0,
        fingerprint=fingerprint,
        group=fingerprint,
        fold=None,
        counts=counts,
        future_leak_share=future_leak_share(train, test),
        ambiguous_last_share=None,
        dataset_hash=whole.fingerprint,
        warnings=[*notes, *find_warnings(counts, None, per_user=False)],
    )
