"""Content: what items are, not who took them."""

from __future__ import annotations

from recsys_lab.algorithms.entries.entry import HERE, Entry, Range

# fmt: off
CONTENT: dict[str, Entry] = {
    "ContentKNN": Entry(
        HERE + "content:ContentKNN", "content_based", "ranking", "items with attributes like those of the history",
        paper="Lops et al., RS Handbook 2011", complexity="sum of squared feature counts", memory="items · k",
        needs=("content",), serves_new_users=True,
        space={
            "n_neighbors": Range(5, 1000, log=True), "weighting": ("none", "bm25", "tfidf"),
            "uses_ratings": (True, False),
        },
    ),
    "UserProfile": Entry(
        HERE + "content:UserProfile", "content_based", "ranking", "cosine of the user's feature profile and the item",
        paper="Pazzani and Billsus, 2007", complexity="features of all items", memory="features of all items",
        needs=("content",), serves_new_users=True,
        space={
            "weighting": ("none", "bm25", "tfidf"), "centering": ("none", "user"), "uses_ratings": (True, False),
        },
    ),
}
