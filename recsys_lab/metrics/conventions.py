"""Which metric of ours stands behind a name in another library: one literal table a library.

``equal`` rows are our metric, called as the table of definitions calls it; ``other`` rows have a function of their own
in ``elsewhere``, because no metric of ours gives that number. A library is handed what its users hand it: the relevant
test rows with their ratings, and the lists of the users who have any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from recsys_lab.metrics import elsewhere
from recsys_lab.metrics.definitions import METRICS

# over whom the mean is taken: all users with relevant items (no value counts as 0), those of them with a list,
# or those for whom the library has a value
Mean = Literal["users", "listed", "defined"]
MEANS: dict[Mean, str] = {
    "users": "all users",
    "listed": "users with a list",
    "defined": "users with a value",
}


@dataclass(frozen=True)
class Theirs:
    """One metric of a library."""

    name: str  # as the library writes it; "{k}" is the cut-off, without it the whole stored list is measured
    like: str  # our metric that a reader would take it for
    equals: str  # our metric that gives the same value for a user, "" = none
    function: Callable[..., Any]  # one value a user, or one for all
    inputs: tuple[str, ...]
    mean: Mean

    @property
    def formula(self) -> str:
        """The definition in words."""
        return METRICS[self.equals].formula if self.equals else _first_sentence(self.function)

    @property
    def needs_cutoff(self) -> bool:
        """Whether the name is completed by a cut-off."""
        return "{k}" in self.name


@dataclass(frozen=True)
class Convention:
    """The metrics of one library, as of ``version``."""

    library: str
    version: str
    metrics: tuple[Theirs, ...]
    notes: str = ""


def equal(name: str, ours: str, mean: Mean = "users", like: str = "") -> Theirs:
    """The library's ``name`` is our metric ``ours``."""
    card = METRICS[ours]
    return Theirs(name, like or ours, ours, card.function, card.inputs, mean)


def other(name: str, like: str, function: Callable[..., Any], mean: Mean = "users", *more: str) -> Theirs:
    """The library's ``name`` is none of ours; a reader would take it for ``like``."""
    return Theirs(name, like, "", function, more or ("hits", "n_relevant"), mean)


_LISTED = ("hits", "n_relevant", "items")
_GAINS = ("gains", "all_gains")
_EXPOSED = ("items", "item_popularity")

CONVENTIONS: dict[str, Convention] = {
    "trec_eval": Convention("trec_eval", "pytrec_eval-terrier 0.5.11", (
        equal("P_{k}", "precision", "listed"),
        equal("recall_{k}", "recall", "listed"),
        equal("success_{k}", "hit_rate", "listed"),
        equal("map_cut_{k}", "map", "listed"),
        equal("ndcg_cut_{k}", "ndcg_graded", "listed", "ndcg"),
        equal("recip_rank", "mrr", "listed"),
        equal("map", "map", "listed"),
        other("ndcg", "ndcg", elsewhere.ndcg_graded_full_ideal, "listed", *_GAINS),
    ), "recip_rank, map and ndcg know no cut-off. Equal scores are ordered by item id, falling: hand it ranks."),
    "ir_measures": Convention("ir_measures", "0.4.3", (
        equal("P@{k}", "precision"),
        equal("R@{k}", "recall"),
        equal("Success@{k}", "hit_rate"),
        equal("AP@{k}", "map"),
        equal("nDCG@{k}", "ndcg_graded", like="ndcg"),
        equal("RR@{k}", "mrr"),
        equal("RR", "mrr"),
    )),
    "ranx": Convention("ranx", "0.3.21", (
        equal("precision@{k}", "precision"),
        equal("recall@{k}", "recall"),
        equal("f1@{k}", "f1"),
        equal("hit_rate@{k}", "hit_rate"),
        equal("mrr@{k}", "mrr"),
        equal("mrr", "mrr"),
        equal("map@{k}", "map"),
        equal("ndcg@{k}", "ndcg_graded", like="ndcg"),
        equal("ndcg_burges@{k}", "ndcg_graded_exp", like="ndcg"),
    ), "With `make_comparable=True`; without it a user without a list is an error."),
    "rectools": Convention("RecTools", "0.19.0", (
        equal("Precision@{k}", "precision"),
        equal("Precision(r_precision=True)@{k}", "recall_capped", like="precision"),
        equal("Recall@{k}", "recall"),
        equal("HitRate@{k}", "hit_rate"),
        equal("MRR@{k}", "mrr"),
        equal("MAP@{k}", "map"),
        other("MAP(divide_by_k=True)@{k}", "map", elsewhere.average_precision_by_k),
        other("NDCG@{k}", "ndcg", elsewhere.ndcg_of_k_hits),
        equal("NDCG(divide_by_achievable=True)@{k}", "ndcg"),
        equal("CatalogCoverage@{k}", "item_coverage", "defined"),
        equal("MeanInvUserFreq@{k}", "novelty", "defined"),
        equal("AvgRecPopularity@{k}", "arp", "defined"),
        other("Serendipity@{k}", "serendipity", elsewhere.serendipity_by_rank, "defined", "hits", *_EXPOSED),
        other("IntraListDiversity(Hamming)@{k}", "intra_list_diversity", elsewhere.intra_list_hamming, "defined",
              "items", "item_features"),
    )),
    "recommenders": Convention("recommenders", "1.2.1", (
        equal("precision_at_k(k={k})", "precision", "listed"),
        equal("recall_at_k(k={k})", "recall", "listed"),
        other("r_precision_at_k(k={k})", "precision", elsewhere.r_precision_of_found, "defined"),
        equal("ndcg_at_k(k={k})", "ndcg"),
        equal("ndcg_at_k(score_type='raw', k={k})", "ndcg_graded", like="ndcg"),
        equal("ndcg_at_k(score_type='exp', k={k})", "ndcg_graded_exp", like="ndcg"),
        equal("map(k={k})", "map", "listed"),
        equal("map_at_k(k={k})", "map_capped", "listed", "map"),
        other("catalog_coverage(k={k})", "item_coverage", elsewhere.coverage_of_train, "defined", *_EXPOSED),
        equal("distributional_coverage(k={k})", "entropy", "defined"),
        other("novelty(k={k})", "novelty", elsewhere.novelty_by_row, "defined", *_EXPOSED),
    ), "Users without a list are dropped, except in ndcg_at_k, where they score 0."),
    "lenskit": Convention("LensKit", "2025.8.1", (
        other("Precision@{k}", "precision", elsewhere.precision_of_list, "users", *_LISTED),
        equal("Recall@{k}", "recall_capped", like="recall"),
        equal("Hit@{k}", "hit_rate"),
        equal("RecipRank@{k}", "mrr"),
        other("AveragePrecision@{k}", "map", elsewhere.average_precision_of_list, "users", *_LISTED),
        other("NDCG@{k}", "ndcg", elsewhere.ndcg_late),
        other("NDCG(gain='rating')@{k}", "ndcg", elsewhere.ndcg_late_graded, "users", "gains", "ideal_gains"),
        other("RBP@{k}", "ndcg", elsewhere.rank_biased_precision),
    ), "RunAnalysis fills a missing value with 0 before it takes the mean."),
    "implicit": Convention("implicit", "0.7.3", (
        other("precision@{k}", "precision", elsewhere.precision_of_all, "defined"),
        equal("map@{k}", "map_capped", like="map"),
        equal("ndcg@{k}", "ndcg"),
        other("auc@{k}", "auc", elsewhere.auc_of_list, "users", "hits", "n_relevant", "item_popularity"),
    ), "precision is one quotient over all users, by what could be reached; auc is that of the list."),
    "recbole": Convention("RecBole", "1.2.1", (
        equal("hit@{k}", "hit_rate"),
        equal("mrr@{k}", "mrr"),
        equal("map@{k}", "map_capped", like="map"),
        equal("recall@{k}", "recall"),
        equal("ndcg@{k}", "ndcg"),
        equal("precision@{k}", "precision"),
        other("itemcoverage@{k}", "item_coverage", elsewhere.coverage_with_padding, "defined", *_EXPOSED),
        equal("averagepopularity@{k}", "arp", "defined"),
        other("shannonentropy@{k}", "entropy", elsewhere.entropy_by_item, "defined", *_EXPOSED),
        other("giniindex@{k}", "gini", elsewhere.gini_with_padding, "defined", *_EXPOSED),
    ), "Printed with four decimals. Every list has k items there."),
    "replay": Convention("RePlay", "commit b4e051e8", (
        equal("HitRate@{k}", "hit_rate"),
        equal("MRR@{k}", "mrr"),
        equal("MAP@{k}", "map_capped", like="map"),
        equal("Recall@{k}", "recall"),
        equal("NDCG@{k}", "ndcg"),
        equal("Precision@{k}", "precision"),
    )),
    "recsys2019": Convention("RecSys2019_DeepLearning_Evaluation", "commit f5618c6", (
        other("PRECISION@{k}", "precision", elsewhere.precision_of_list, "users", *_LISTED),
        other("PRECISION_RECALL_MIN_DEN@{k}", "recall_capped", elsewhere.recall_of_list, "users", *_LISTED),
        equal("RECALL@{k}", "recall"),
        equal("MRR@{k}", "mrr"),
        other("ARHR@{k}", "mrr", elsewhere.arhr),
        other("MAP@{k}", "map", elsewhere.average_precision_of_list, "users", *_LISTED),
        other("NDCG@{k}", "ndcg", elsewhere.ndcg_graded_exp_full_ideal, "users", *_GAINS),
        equal("NDCG(binary)@{k}", "ndcg_full_ideal", like="ndcg"),
    )),
    "daisyrec": Convention("DaisyRec", "2.0, commit 88b0a32", (
        other("Precision@{k}", "precision", elsewhere.precision_of_list, "defined", *_LISTED),
        equal("Recall@{k}", "recall"),
        other("F1@{k}", "f1", elsewhere.f1_of_list, "defined", *_LISTED),
        equal("HR@{k}", "hit_rate"),
        other("MRR@{k}", "mrr", elsewhere.arhr),
        other("MAP@{k}", "map", elsewhere.average_precision_of_hits),
        other("NDCG@{k}", "ndcg", elsewhere.ndcg_of_found),
    )),
    "elliot": Convention("Elliot", "commit fc27efe", (
        other("MAP@{k}", "map", elsewhere.mean_prefix_precision),
    ), "Only its MAP is in the table."),
}  # fmt: skip


def convention(name: str) -> Convention:
    """The table of a library. Raises ValueError for an unknown name."""
    if name not in CONVENTIONS:
        raise ValueError(f"unknown conventions {name!r}; known are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def _first_sentence(function: Callable[..., Any]) -> str:
    return " ".join((function.__doc__ or "").split("\n\n")[0].split()).replace("``", "").rstrip(".")
