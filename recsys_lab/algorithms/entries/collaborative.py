"""Collaborative filtering: neighbourhoods, linear models, co-clusters."""

from __future__ import annotations

from recsys_lab.algorithms.entries.entry import HERE, SURPRISE, Conditions, Entry, Range, Space

KNN: Space = {
    "n_neighbors": Range(5, 1000, log=True),
    "shrinkage": Range(0.0, 1000.0),
    "similarity": ("cosine", "jaccard", "asymmetric_cosine", "dice", "tversky"),
    "alpha": Range(0.0, 2.0),
    "beta": Range(0.0, 2.0),
    "weighting": ("none", "bm25", "tfidf"),
}
OF_SETS: Conditions = {
    "alpha": {"similarity": ("asymmetric_cosine", "tversky")},
    "beta": {"similarity": ("tversky",)},
}
NEAREST = HERE + "surprise_neighbours:"
SURPRISE_KNN: Space = {
    "n_neighbors": Range(10, 200),
    "min_neighbors": Range(1, 10),
    "similarity": ("msd", "cosine", "pearson", "pearson_baseline"),
    "shrinkage": Range(0.0, 500.0),
    "user_based": (True, False),
}

OF_PEARSON: Conditions = {"shrinkage": {"similarity": ("pearson_baseline",)}}
WALKS: Space = {
    "n_neighbors": Range(5, 1000, log=True),
    "alpha": Range(0.0, 2.0),
    "normalizes_rows": (True, False),
}

# fmt: off
COLLABORATIVE: dict[str, Entry] = {
    "UserKNN": Entry(
        HERE + "neighborhood:UserKNN", "collaborative_filtering", "both", "what similar users took",
        paper="Resnick et al., CSCW 1994", complexity="n; score: sum of squared item counts", serves_new_users=True,
        space=KNN, conditions=OF_SETS,
    ),
    "ItemKNN": Entry(
        HERE + "neighborhood:ItemKNN", "collaborative_filtering", "both", "items similar to the history",
        paper="Sarwar et al., WWW 2001", complexity="sum of squared user counts", memory="items · k",
        serves_new_users=True, space={**KNN, "normalizes_rows": (True, False)}, conditions=OF_SETS,
    ),
    "SAR": Entry(
        HERE + "sar:SAR", "collaborative_filtering", "ranking", "items that occur together, recent ratings first",
        paper="microsoft/recommenders, SAR", complexity="sum of squared user counts", memory="pairs of items",
        serves_new_users=True,
        space={
            "similarity": ("jaccard", "lift", "cooccurrence", "cosine"),
            "half_life_days": Range(1.0, 1e4, log=True),
        },
    ),
    "P3alpha": Entry(
        HERE + "graph:P3alpha", "collaborative_filtering", "ranking", "walks of three steps",
        paper="Cooper et al., WWW 2014", complexity="sum of squared user counts", memory="items · k",
        serves_new_users=True, space=WALKS,
    ),
    "RP3beta": Entry(
        HERE + "graph:RP3beta", "collaborative_filtering", "ranking", "the same, popular items held back",
        paper="Paudel et al., TiiS 2016", complexity="sum of squared user counts", memory="items · k",
        serves_new_users=True, space={**WALKS, "beta": Range(0.0, 2.0)},
    ),
    "GFCF": Entry(
        HERE + "spectral:GFCF", "collaborative_filtering", "ranking", "linear and low-pass filter of the graph",
        paper="Shen et al., CIKM 2021", complexity="n · k", memory="n + items · k", serves_new_users=True,
        repeatable="ranking",
        space={"n_factors": Range(16, 512, log=True), "low_pass_weight": Range(0.0, 1.0)},
    ),
    "SLIM": Entry(
        HERE + "slim:SLIM", "collaborative_filtering", "ranking", "sparse linear model, an elastic net an item",
        paper="Ning and Karypis, ICDM 2011", complexity="items² · nonzero weights of an item", memory="items · k",
        serves_new_users=True,
        space={
            "n_neighbors": Range(5, 1000, log=True),
            "l1_ratio": Range(1e-5, 1.0, log=True),
            "regularization": Range(1e-3, 1.0, log=True),
        },
    ),
    "Markov": Entry(
        HERE + "sequential:Markov", "collaborative_filtering", "ranking", "what most often follows the last items",
        paper="Shani et al., JMLR 2005; Ludewig and Jannach, UMUAI 2018", complexity="n · window",
        memory="pairs that follow", needs=("time",), learns="order", serves_new_users=True,
        space={"n_last": Range(1, 20), "window": Range(1, 10), "decay": Range(0.3, 1.0)},
    ),
    "EASE": Entry(
        HERE + "linear:EASE", "collaborative_filtering", "ranking", "closed-form linear autoencoder",
        paper="Steck, WWW 2019", complexity="items³", memory="items²", serves_new_users=True, repeatable="ranking",
        space={"regularization": Range(1.0, 1e7, log=True)},
    ),
    "KNNBasic": Entry(
        NEAREST + "KNNBasic", "collaborative_filtering", "rating", "weighted mean of the neighbours' ratings",
        paper="Hug, JOSS 2020", complexity="sum of squared item counts", memory="users²",
        space=SURPRISE_KNN, conditions=OF_PEARSON,
    ),
    "KNNWithMeans": Entry(
        NEAREST + "KNNWithMeans", "collaborative_filtering", "rating", "the same on ratings less the mean",
        paper="Resnick et al., CSCW 1994", complexity="sum of squared item counts", memory="users²",
        space=SURPRISE_KNN, conditions=OF_PEARSON,
    ),
    "KNNWithZScore": Entry(
        NEAREST + "KNNWithZScore", "collaborative_filtering", "rating", "the same on z-scores",
        paper="Herlocker et al., SIGIR 1999", complexity="sum of squared item counts", memory="users²",
        space=SURPRISE_KNN, conditions=OF_PEARSON,
    ),
    "KNNBaseline": Entry(
        NEAREST + "KNNBaseline", "collaborative_filtering", "rating", "the same on ratings less the baseline",
        paper="Koren, TKDD 2010", complexity="sum of squared item counts", memory="users²",
        space=SURPRISE_KNN, conditions=OF_PEARSON,
    ),
    "SlopeOne": Entry(
        NEAREST + "SlopeOne", "collaborative_filtering", "rating", "mean differences between items",
        paper="Lemire and Maclachlan, SDM 2005", complexity="sum of squared user counts", memory="items²",
        learns="levels",
    ),
    "CoClustering": Entry(
        SURPRISE + "CoClustering", "collaborative_filtering", "rating", "clusters of users and of items",
        paper="George and Merugu, ICDM 2005", complexity="epochs · n", memory="users + items", stochastic=True,
        space={"n_user_clusters": Range(2, 20), "n_item_clusters": Range(2, 20), "n_epochs": Range(5, 50)},
    ),
}
