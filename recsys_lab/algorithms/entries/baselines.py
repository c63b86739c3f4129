"""Baselines: what any model must beat."""

from __future__ import annotations

from recsys_lab.algorithms.entries.entry import HERE, SURPRISE, Entry, Range

# fmt: off
BASELINES: dict[str, Entry] = {
    "Random": Entry(
        HERE + "baselines:Random", "baseline", "ranking", "a uniform number for each pair",
        paper="-", complexity="1", memory="1", learns="nothing", serves_new_users=True, stochastic=True,
    ),
    "Popularity": Entry(
        HERE + "baselines:Popularity", "baseline", "ranking", "number of users of an item",
        paper="-", complexity="n", memory="items", learns="popularity", serves_new_users=True,
    ),
    "RecentPopularity": Entry(
        HERE + "baselines:RecentPopularity", "baseline", "ranking", "popularity that halves with age",
        paper="Ji et al., SIGIR 2020", complexity="n", memory="items", needs=("time",), learns="popularity",
        serves_new_users=True,
        space={"half_life_days": Range(1.0, 1000.0, log=True)},
    ),
    "Bias": Entry(
        HERE + "baselines:Bias", "baseline", "rating", "mean + user bias + item bias",
        paper="Koren, TKDD 2010", complexity="epochs · n", memory="users + items", learns="levels",
        serves_new_users=True,
        space={"user_regularization": Range(0.0, 50.0), "item_regularization": Range(0.0, 50.0)},
    ),
    "Oracle": Entry(
        HERE + "oracle:Oracle", "baseline", "both", "knows the truth of synthetic data: the best attainable score",
        paper="-", complexity="1", memory="users · items", needs=("truth",), learns="truth",
    ),
    "BaselineOnly": Entry(
        HERE + "surprise_factors:BaselineOnly", "baseline", "rating", "Surprise's mean + biases",
        paper="Koren, TKDD 2010", complexity="epochs · n", memory="users + items", learns="levels",
        space={"user_regularization": Range(0.0, 50.0), "item_regularization": Range(0.0, 50.0)},
    ),
    "NormalPredictor": Entry(
        SURPRISE + "NormalPredictor", "baseline", "rating", "a draw from the distribution of all ratings",
        paper="Hug, JOSS 2020", complexity="n", memory="1", learns="nothing", stochastic=True,
    ),
}
