"""Factorization: users and items as short vectors."""

from __future__ import annotations

from recsys_lab.algorithms.entries.entry import HERE, SURPRISE, Entry, Range, Space

GRADIENT_STEPS: Space = {
    "n_factors": Range(5, 200, log=True),
    "n_epochs": Range(10, 100),
    "learning_rate": Range(1e-3, 3e-2, log=True),
    "regularization": Range(1e-3, 0.3, log=True),
}

# fmt: off
FACTORIZATION: dict[str, Entry] = {
    "PureSVD": Entry(
        HERE + "factorization:PureSVD", "factorization", "ranking", "truncated SVD, missing = 0",
        paper="Cremonesi et al., RecSys 2010", complexity="iterations · n · k", memory="items · k",
        serves_new_users=True, stochastic=True, repeatable="ranking", space={"n_factors": Range(1, 350, log=True)},
    ),
    "SVD": Entry(
        SURPRISE + "SVD", "factorization", "rating", "biased matrix factorization by gradient steps",
        paper="Koren et al., IEEE Computer 2009", complexity="epochs · n · k", memory="(users + items) · k",
        stochastic=True, repeatable="ranking", space=GRADIENT_STEPS,
    ),
    "SVDpp": Entry(
        SURPRISE + "SVDpp", "factorization", "rating", "SVD with what the user rated as implicit feedback",
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
}
