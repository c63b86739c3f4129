"""Content: what items are; hybrids of content and collaboration; rerankers, which take any algorithm."""

from __future__ import annotations

from recsys_lab.algorithms.entries.entry import HERE, Entry, Range, Space

RERANKING: Space = {"weight": Range(0.0, 1.0), "n_candidates": Range(20, 500, log=True)}

# fmt: off
CONTENT: dict[str, Entry] = {
    "ContentKNN": Entry(
        HERE + "content:ContentKNN", "content_based", "ranking", "items with attributes like those of the history",
        paper="Lops et al., RS Handbook 2011", complexity="sum of squared feature counts", memory="items · k",
        needs=("content",), serves_cold_items=True, serves_new_users=True,
        space={
            "n_neighbors": Range(5, 1000, log=True), "weighting": ("none", "bm25", "tfidf"),
            "uses_ratings": (True, False),
        },
    ),
    "UserProfile": Entry(
        HERE + "content:UserProfile", "content_based", "ranking", "cosine of the user's feature profile and the item",
        paper="Pazzani and Billsus, 2007", complexity="features of all items", memory="features of all items",
        needs=("content",), serves_cold_items=True, serves_new_users=True,
        space={
            "weighting": ("none", "bm25", "tfidf"), "centering": ("none", "user"), "uses_ratings": (True, False),
        },
    ),
    "ContentRidge": Entry(
        HERE + "content:ContentRidge", "content_based", "ranking", "a ridge regression of the history on the features",
        paper="Hoerl and Kennard, Technometrics 1970", complexity="features³", memory="features²", needs=("content",),
        serves_cold_items=True, serves_new_users=True, repeatable="ranking",
        space={"regularization": Range(1e-1, 1e5, log=True), "weighting": ("none", "bm25", "tfidf")},
    ),
    "ItemKNNWithFeatures": Entry(
        HERE + "side_information:ItemKNNWithFeatures", "content_based", "ranking",
        "ItemKNN on interactions and features side by side (CFCBF)",
        paper="Ferrari Dacrema et al., TOIS 2021", complexity="sum of squared user and feature counts",
        memory="items · k", needs=("content",), serves_cold_items=True, serves_new_users=True,
        space={
            "n_neighbors": Range(5, 1000, log=True), "shrinkage": Range(0.0, 1000.0),
            "feature_weight": Range(1e-2, 1e2, log=True), "weighting": ("none", "bm25", "tfidf"),
        },
    ),
    "EASEWithFeatures": Entry(
        HERE + "side_information:EASEWithFeatures", "content_based", "ranking",
        "EASE whose training rows are users and features (collective EASE)",
        paper="Jeunen et al., RecSys 2020", complexity="items³", memory="items²", needs=("content",),
        serves_cold_items=True, serves_new_users=True, repeatable="ranking",
        space={"regularization": Range(1.0, 1e7, log=True), "feature_weight": Range(1e-2, 1e2, log=True)},
    ),
    "Blend": Entry(
        HERE + "blend:Blend", "content_based", "ranking", "weighted mean of the scores or ranks of any two algorithms",
        paper="Burke, UMUAI 2002", complexity="of its parts", memory="of its parts", serves_new_users=True,
        stochastic=True, repeatable="ranking",
        space={"weight": Range(0.0, 1.0), "normalisation": ("minmax", "zscore", "rank", "reciprocal_rank")},
    ),
    "MMR": Entry(
        HERE + "rerank:MMR", "content_based", "ranking", "reranks any algorithm: variety within a list",
        paper="Carbonell and Goldstein, SIGIR 1998", complexity="of its base; a list: n_candidates²",
        memory="of its base + features of all items", needs=("content",), serves_new_users=True, stochastic=True,
        repeatable="ranking", space=RERANKING,
    ),
    "PopularityDebiased": Entry(
        HERE + "rerank:PopularityDebiased", "content_based", "ranking", "reranks any algorithm: fewer popular items",
        paper="Steck, RecSys 2011", complexity="of its base", memory="of its base + items", serves_new_users=True,
        stochastic=True, repeatable="ranking", space=RERANKING,
    ),
    "Calibrated": Entry(
        HERE + "rerank:Calibrated", "content_based", "ranking", "reranks any algorithm: the genres of the history",
        paper="Steck, RecSys 2018", complexity="of its base; a list: k · n_candidates · genres",
        memory="of its base + items · genres", needs=("content",), serves_new_users=True, stochastic=True,
        repeatable="ranking", space=RERANKING,
    ),
}
