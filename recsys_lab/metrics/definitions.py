"""The metric table: every metric of the project with its card."""

from __future__ import annotations

import difflib
from dataclasses import replace

from recsys_lab.metrics import beyond_accuracy, diversity, ranking, rating
from recsys_lab.metrics.card import Metric

METRIC_SPEC_VERSION = 1  # grows when a definition changes; part of every protocol hash

_HITS = ("hits", "n_relevant")
_LISTS = ("items", "item_popularity")
_NULL = "no relevant test item: null, left out of the mean; no list: 0; short list: missing places are misses"
_EMPTY = "empty list: null, left out of the mean and counted; short list: over its length"
_NOTHING = "nothing listed by anybody: null"
_MICRO = "a pair without a prediction is an error unless `rating_fallback` names one"
_NARROW = "lists of fewer than two items: null, left out of the mean and counted; item without features: distance 1"

_TABLE = (
    Metric("precision", "ranking", ranking.precision, _HITS, "hits / k, always k", _NULL, "trec_eval P", default="yes"),
    Metric(
        "recall", "ranking", ranking.recall, _HITS, "hits / relevant items", _NULL, "trec_eval recall", default="yes"
    ),
    Metric(
        "recall_capped", "ranking", ranking.recall_capped, _HITS, "hits / min(k, relevant items)", _NULL,
        "Liang et al., WWW 2018 (Mult-VAE)",
    ),
    Metric(
        "f1", "ranking", ranking.f1, _HITS, "harmonic mean of the user's precision and recall",
        f"{_NULL}; both 0: 0", "van Rijsbergen, 1979",
    ),
    Metric(
        "hit_rate", "ranking", ranking.hit_rate, _HITS, "1 if there is a hit in the first k places, else 0", _NULL,
        "trec_eval success", default="yes",
    ),
    Metric(
        "mrr", "ranking", ranking.mrr, _HITS, "1 / rank of the first hit within k, else 0", _NULL,
        "trec_eval recip_rank on lists cut at k", default="yes",
    ),
    Metric(
        "map", "ranking", ranking.average_precision, _HITS,
        "sum over the hits of precision at their rank / relevant items", _NULL, "trec_eval map_cut", default="yes",
    ),
    Metric(
        "map_capped", "ranking", ranking.average_precision_capped, _HITS,
        "sum over the hits of precision at their rank / min(k, relevant items)", _NULL,
        "RecBole, RePlay, implicit; Ferrari Dacrema et al., RecSys 2019",
    ),
    Metric(
        "ndcg", "ranking", ranking.ndcg, _HITS,
        "sum over the hits of 1 / log2(rank + 1) / the same for min(k, relevant items) hits on top", _NULL,
        "trec_eval ndcg_cut with binary grades; Järvelin and Kekäläinen, TOIS 2002", default="yes",
    ),
    Metric(
        "ndcg_full_ideal", "ranking", ranking.ndcg_full_ideal, _HITS,
        "as ndcg, the ideal list holds all relevant items and is not cut at k", _NULL,
        "Ferrari Dacrema et al., RecSys 2019",
    ),
    Metric(
        "ndcg_graded", "ranking", ranking.ndcg_graded, ("gains", "ideal_gains"),
        "as ndcg, the gain of a relevant item is its test rating; ideal: the k highest ratings, falling",
        f"{_NULL}; not relevant: gain 0", "trec_eval ndcg_cut; Järvelin and Kekäläinen, TOIS 2002",
    ),
    Metric(
        "ndcg_graded_exp", "ranking", ranking.ndcg_graded_exp, ("gains", "ideal_gains"),
        "as ndcg_graded, the gain is 2^rating - 1", f"{_NULL}; not relevant: gain 0", "Burges et al., ICML 2005",
    ),
    Metric(
        "serendipity", "ranking", beyond_accuracy.serendipity, (*_HITS, *_LISTS),
        "share of the k places that are relevant and not among the k most popular items of train (ties by code)",
        _NULL, "own; compare Ge et al., RecSys 2010",
    ),
    Metric(
        "novelty", "list", beyond_accuracy.novelty, (*_LISTS, "n_users_train"),
        "mean over the list of -log2(max(popularity, 1) / users of train); popularity: users of train with the item",
        _EMPTY, "Zhou et al., PNAS 2010", "0 to log2(users)", "yes", "neither",
    ),
    Metric(
        "epc", "list", beyond_accuracy.epc, (*_LISTS, "n_users_train"),
        "mean over the list of 1 - popularity / users of train", _EMPTY, "Vargas and Castells, RecSys 2011",
        better="neither",
    ),
    Metric(
        "arp", "list", beyond_accuracy.arp, _LISTS, "mean popularity of the listed items, in users of train", _EMPTY,
        "Yin et al., VLDB 2012", "0 to users of train", "yes", "neither",
    ),
    Metric(
        "aplt", "list", beyond_accuracy.aplt, _LISTS,
        "share of the list outside the most popular 20 % of the catalogue (rounded up; ties by code)", _EMPTY,
        "Abdollahpouri et al., FLAIRS 2019", better="neither",
    ),
    Metric(
        "intra_list_diversity", "list", diversity.intra_list_diversity, ("items", "item_features"),
        "mean cosine distance of the item features over the pairs of a list", _NARROW, "Ziegler et al., WWW 2005",
        default="with features", better="neither",
    ),
    Metric(
        "intra_list_diversity_jaccard", "list", diversity.intra_list_diversity_jaccard, ("items", "item_features"),
        "mean Jaccard distance of the item features over the pairs of a list", _NARROW, "Ziegler et al., WWW 2005",
        better="neither",
    ),
    Metric(
        "calibration_kl", "list", diversity.calibration_kl, ("items", "genre_weights", "profile_genres"),
        "KL(p || .99 q + .01 p) in nats; p: genre shares of the history, q: of the list; "
        "an item's weight is split evenly over its genres",
        "list or history without any genre: null, left out of the mean and counted", "Steck, RecSys 2018",
        "0 to ln 100", "with genres", "lower",
    ),
    Metric(
        "item_coverage", "catalogue", beyond_accuracy.item_coverage, _LISTS,
        "distinct listed items / items of the whole catalogue", "nothing listed by anybody: 0",
        "Herlocker et al., TOIS 2004", default="yes",
    ),
    Metric(
        "gini", "catalogue", beyond_accuracy.gini, _LISTS,
        "Gini index of how often each item of the whole catalogue is listed, zeros included; 0 equal, 1 concentrated",
        _NOTHING, "Adomavicius and Kwon, TKDE 2012", default="yes", better="neither",
    ),
    Metric(
        "entropy", "catalogue", beyond_accuracy.entropy, _LISTS,
        "Shannon entropy of how often each item is listed, in bits", _NOTHING, "Shannon, 1948", "0 to log2(items)",
        better="neither",
    ),
    Metric(
        "entropy_normalised", "catalogue", beyond_accuracy.entropy_normalised, _LISTS,
        "entropy / log2(items of the catalogue)", f"{_NOTHING}; catalogue of one item: null", "Shannon, 1948",
        better="neither",
    ),
    Metric(
        "inter_list_diversity", "catalogue", diversity.inter_list_diversity, _LISTS,
        "1 - common items / k over pairs of users; above 500 users 10,000 pairs drawn with a fixed seed",
        "fewer than two users with a list: null", "Zhou et al., PNAS 2010", better="neither",
    ),
    Metric(
        "popularity_lift", "catalogue", beyond_accuracy.popularity_lift, (*_LISTS, "profile_popularity"),
        "(mean popularity of the lists - that of the histories) / that of the histories, both as means over users",
        "only users with a list and a history", "Abdollahpouri et al., RecSys workshop RMSE 2019", "above -1",
        better="neither",
    ),
    Metric(
        "auc", "score", ranking.auc, ("positive_scores", "negative_scores"),
        "share of pairs (relevant, not relevant) of unseen candidates that the scores order rightly, ties half",
        "no relevant item or no other candidate: null; relevant item outside the candidates: below all others",
        "Rendle et al., UAI 2009",
    ),
    Metric(
        "rmse", "rating", rating.rmse, ("errors",),
        "root mean squared error over all test pairs, predictions clipped to the scale of train", _MICRO,
        "Herlocker et al., TOIS 2004", "0 up", "yes", "lower",
    ),
    Metric(
        "mae", "rating", rating.mae, ("errors",),
        "mean absolute error over all test pairs, predictions clipped to the scale of train", _MICRO,
        "Herlocker et al., TOIS 2004", "0 up", "yes", "lower",
    ),
    Metric(
        "rmse_macro", "rating", rating.user_rmse, ("errors", "rows", "n"), "mean over users of their rmse", _MICRO,
        "Massa and Avesani, RecSys 2007", "0 up", "yes", "lower",
    ),
    Metric(
        "mae_macro", "rating", rating.user_mae, ("errors", "rows", "n"), "mean over users of their mae", _MICRO,
        "Massa and Avesani, RecSys 2007", "0 up", "yes", "lower",
    ),
    Metric(
        "rmse_unclipped", "rating", rating.rmse, ("raw_errors",), "rmse of the predictions as they are", _MICRO,
        "Herlocker et al., TOIS 2004", "0 up", "yes", "lower",
    ),
    Metric(
        "mae_unclipped", "rating", rating.mae, ("raw_errors",), "mae of the predictions as they are", _MICRO,
        "Herlocker et al., TOIS 2004", "0 up", "yes", "lower",
    ),
    Metric(
        "rmse_macro_unclipped", "rating", rating.user_rmse, ("raw_errors", "rows", "n"),
        "mean over users of their rmse, predictions as they are", _MICRO, "Massa and Avesani, RecSys 2007", "0 up",
        "yes", "lower",
    ),
    Metric(
        "mae_macro_unclipped", "rating", rating.user_mae, ("raw_errors", "rows", "n"),
        "mean over users of their mae, predictions as they are", _MICRO, "Massa and Avesani, RecSys 2007", "0 up",
        "yes", "lower",
    ),
)  # fmt: skip

_SAMPLED = "hit_rate", "recall", "precision", "mrr", "map", "ndcg"  # with a sibling on drawn candidates
N_SAMPLED = 99  # candidates drawn for each user unless the name says another number


def _sampled(full: Metric) -> Metric:
    return replace(
        full,
        name=f"sampled_{full.name}",
        kind="sampled",
        formula=f"{full.name} of the relevant items among n unseen candidates, drawn by a seeded hash of user and item",
        edge_cases=f"{full.edge_cases}; fewer than n candidates: all; relevant item outside the candidates: missed",
        source="He et al., WWW 2017; Krichene and Rendle, KDD 2020",
        default="option",
        n_sampled=N_SAMPLED,
    )


METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}
METRICS |= {f"sampled_{name}": _sampled(METRICS[name]) for name in _SAMPLED}


def parse_metric(name: str) -> tuple[Metric, int | None]:
    """The card and the cut-off of a name: "ndcg@10" gives (ndcg, 10); "ndcg" and "rmse" have the cut-off None.

    "sampled_ndcg@10[n=500]" gives the card of sampled_ndcg with ``n_sampled`` 500; without brackets it is 99.
    Raises ValueError for an unknown metric, with the nearest known name, and for a cut-off that is none.
    """
    plain, bracket, option = name.partition("[")
    base, at, cutoff = plain.partition("@")
    if base not in METRICS:
        near = difflib.get_close_matches(base, METRICS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise ValueError(f"unknown metric {base!r}{hint} Known: {', '.join(METRICS)}")
    metric = METRICS[base]
    if bracket:
        metric = replace(metric, n_sampled=_drawn(metric, name, option))
    if not at:
        return metric, None
    if not metric.needs_cutoff:
        raise ValueError(f"{base!r} has no cut-off; found {name!r}, write {base!r}")
    if not _counts(cutoff):
        raise ValueError(f"the cut-off of a metric is a whole number from 1 up, as in '{base}@10'; found {name!r}")
    return metric, int(cutoff)


def lower_is_better(name: str) -> bool:
    """Whether a metric ("rmse", "calibration_kl@10") is the better the lower it is. ValueError for an unknown one."""
    return parse_metric(name)[0].better == "lower"


def refuse_sampled(name: str) -> None:
    """Raise ValueError when ``name`` is a metric on drawn candidates: models are not compared by one."""
    if name.startswith("sampled_"):
        full = name.partition("[")[0].removeprefix("sampled_")
        raise ValueError(
            f"{name!r} is measured against drawn candidates and may order models otherwise than the full ranking does, "
            f"so it decides nothing and stands in no leaderboard; use {full!r}, which is measured beside it"
        )


def _drawn(metric: Metric, name: str, option: str) -> int:
    number = option.removeprefix("n=").removesuffix("]")
    if metric.kind != "sampled" or not (option.startswith("n=") and option.endswith("]") and _counts(number)):
        raise ValueError(f"brackets say how many candidates are drawn, as in 'sampled_ndcg@10[n=99]'; found {name!r}")
    return int(number)


def _counts(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) >= 1
