"""Factorization: users and items as short vectors."""

from __future__ import annotations

from recsys_lab.algorithms.entries.entry import HERE, SURPRISE, Entry, Range, Space

GRADIENT_STEPS: Space = {
    "n_factors": Range(5, 200, log=True),
    "n_epochs": Range(10, 100),
    "learning_rate": Range(1e-3, 3e-2, log=True),
    "regularization": Range(1e-3, 0.3, log=True),
}

PAIRS: Space = {
    "n_factors": Range(8, 200, log=True),
    "n_epochs": Range(10, 200, log=True),
    "learning_rate": Range(1e-4, 1e-1, log=True),
    "regularization": Range(1e-5, 1e-2, log=True),
}
IMPLICIT = HERE + "implicit_models:"

# fmt: off
FACTORIZATION: dict[str, Entry] = {
    "PureSVD": Entry(
        HERE + "factorization:PureSVD", "factorization", "ranking", "truncated SVD, missing = 0",
        paper="Cremonesi et al., RecSys 2010", complexity="iterations · n · k", memory="items · k",
        serves_new_users=True, stochastic=True, repeatable="ranking", space={"n_factors": Range(1, 350, log=True)},
    ),
    "SVD": Entry(
        HERE + "surprise_factors:SVD", "factorization", "rating", "biased matrix factorization by gradient steps",
        paper="Koren et al., IEEE Computer 2009", complexity="epochs · n · k", memory="(users + items) · k",
        stochastic=True, repeatable="ranking", space=GRADIENT_STEPS,
    ),
    "SVDpp": Entry(
        HERE + "surprise_factors:SVDpp", "factorization", "rating", "SVD with what the user rated as implicit feedback",
        paper="Koren, KDD 2008", complexity="epochs · n · k · history", memory="(users + items) · k",
        stochastic=True, repeatable="ranking", space=GRADIENT_STEPS,
    ),
    "NMF": Entry(
        SURPRISE + "NMF", "factorization", "rating", "non-negative matrix factorization",
        paper="Luo et al., IEEE TII 2014", complexity="epochs · n · k", memory="(users + items) · k",
        stochastic=True, repeatable="ranking",
        space={
            "n_factors": Range(5, 200, log=True), "n_epochs": Range(10, 100),
            "regularization": Range(1e-3, 0.3, log=True), "biased": (True, False),
        },
    ),
    "FunkSVD": Entry(
        HERE + "factorization:FunkSVD", "factorization", "rating", "SVD without mean and biases",
        paper="Funk, 2006", complexity="epochs · n · k", memory="(users + items) · k",
        stochastic=True, repeatable="ranking", space=GRADIENT_STEPS,
    ),
    "ExplicitALS": Entry(
        HERE + "explicit_als:ExplicitALS", "factorization", "rating", "ratings by factors and biases, least squares",
        paper="Zhou et al., AAIM 2008", complexity="epochs · (n · k² + (users + items) · k³)",
        memory="(users + items) · k", serves_new_users=True, stochastic=True, repeatable="ranking",
        space={"n_factors": Range(4, 128, log=True), "regularization": Range(1e-3, 1.0, log=True)},
    ),
    "IALS": Entry(
        HERE + "ials:IALS", "factorization", "ranking", "least squares of all pairs, the unobserved ones weighted",
        paper="Hu et al., ICDM 2008; Rendle et al., RecSys 2022",
        complexity="epochs · (steps · n · k + (users + items) · k²)", memory="items · k",
        serves_new_users=True, stochastic=True, repeatable="ranking",
        space={
            "n_factors": Range(8, 256, log=True), "unobserved_weight": Range(1e-3, 50.0, log=True),
            "regularization": Range(1e-5, 1e-1, log=True),
        },
    ),
    "BPR": Entry(
        HERE + "bpr:BPR", "factorization", "ranking", "pairs of a chosen and another item, by gradient steps",
        paper="Rendle et al., UAI 2009", complexity="epochs · n · k", memory="(users + items) · k",
        stochastic=True, repeatable="ranking", space=PAIRS,
    ),
    "WARP": Entry(
        HERE + "warp:WARP", "factorization", "ranking", "pairs in the wrong order, weighted by the rank of the chosen",
        paper="Weston et al., IJCAI 2011", complexity="epochs · n · k · draws", memory="(users + items) · k",
        stochastic=True, repeatable="ranking", space={**PAIRS, "max_norm": Range(0.3, 5.0, log=True)},
    ),
    "RankingNMF": Entry(
        HERE + "nmf:RankingNMF", "factorization", "ranking", "non-negative factors of all pairs, missing = 0",
        paper="Lee and Seung, NIPS 2000", complexity="epochs · (n · k + (users + items) · k²)", memory="items · k",
        serves_new_users=True, stochastic=True, repeatable="ranking",
        space={
            "n_factors": Range(1, 350, log=True), "solver": ("cd", "mu"), "initial": ("nndsvda", "random"),
            "loss": ("frobenius", "kullback-leibler"),
        },
        conditions={"loss": {"solver": ("mu",)}},
    ),
    "ImplicitALS": Entry(
        IMPLICIT + "ImplicitALS", "factorization", "ranking", "least squares of all pairs, by the library implicit",
        paper="Hu et al., ICDM 2008", complexity="epochs · (steps · n · k + (users + items) · k²)",
        memory="items · k", serves_new_users=True, stochastic=True, repeatable="ranking", extra="implicit",
        space={
            "n_factors": Range(8, 256, log=True), "alpha": Range(1e-3, 50.0, log=True),
            "regularization": Range(1e-5, 1e-1, log=True),
        },
    ),
    "ImplicitBPR": Entry(
        IMPLICIT + "ImplicitBPR", "factorization", "ranking", "BPR by the library implicit, on one thread",
        paper="Rendle et al., UAI 2009", complexity="epochs · n · k", memory="(users + items) · k",
        stochastic=True, repeatable="ranking", extra="implicit", space=PAIRS,
    ),
    "ImplicitLMF": Entry(
        IMPLICIT + "ImplicitLMF", "factorization", "ranking", "chance that a user takes an item, by implicit",
        paper="Johnson, NIPS 2014 workshop", complexity="epochs · n · negatives · k", memory="(users + items) · k",
        stochastic=True, repeatable="ranking", extra="implicit",
        space={
            "n_factors": Range(8, 200, log=True), "learning_rate": Range(1e-2, 3.0, log=True),
            "regularization": Range(1e-2, 10.0, log=True),
        },
    ),
}
