"""What a library returns for lists and test rows: ``python answers.py LIBRARY``, in the library's own environment.

Reads from standard input a list of {"k", "n_items", "lists": {user: [items]}, "truth": {user: {item: rating}},
"train": [[user, item]]} and writes a list of {name in our table: number} to standard output. Needs nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def trec_eval(given: Any) -> dict[str, float]:
    import pytrec_eval

    k, truth = given["k"], {u: {i: int(r) for i, r in rows.items()} for u, rows in given["truth"].items()}
    run = {u: {i: float(-rank) for rank, i in enumerate(items)} for u, items in given["lists"].items() if items}
    cut = {f"{name}.{k}" for name in ("P", "recall", "success", "map_cut", "ndcg_cut")}
    found = pytrec_eval.RelevanceEvaluator(truth, cut | {"recip_rank", "map", "ndcg"}).evaluate(run)
    names = next(iter(found.values()))
    return {name: sum(row[name] for row in found.values()) / len(found) for name in names}


def ranx(given: Any) -> dict[str, float]:
    from ranx import Qrels, Run, evaluate

    k = given["k"]
    truth = Qrels({u: {i: int(r) for i, r in rows.items()} for u, rows in given["truth"].items()})
    lists = {u: {i: 100.0 - rank for rank, i in enumerate(items)} for u, items in given["lists"].items() if items}
    names = [f"{name}@{k}" for name in ("precision", "recall", "f1", "hit_rate", "mrr", "map", "ndcg", "ndcg_burges")]
    return {n: float(v) for n, v in evaluate(truth, Run(lists), [*names, "mrr"], make_comparable=True).items()}


def rectools(given: Any) -> dict[str, float]:
    import pandas as pd
    from rectools import Columns
    from rectools.metrics import (
        MAP,
        MRR,
        NDCG,
        AvgRecPopularity,
        CatalogCoverage,
        HitRate,
        MeanInvUserFreq,
        Precision,
        Recall,
        Serendipity,
        calc_metrics,
    )  # fmt: skip

    k = given["k"]
    reco = [(u, i, rank + 1) for u, items in given["lists"].items() for rank, i in enumerate(items)]
    truth = [(u, i) for u, rows in given["truth"].items() for i in rows]
    wanted = {
        f"Precision@{k}": Precision(k),
        f"Precision(r_precision=True)@{k}": Precision(k, r_precision=True),
        f"Recall@{k}": Recall(k),
        f"HitRate@{k}": HitRate(k),
        f"MRR@{k}": MRR(k),
        f"MAP@{k}": MAP(k),
        f"MAP(divide_by_k=True)@{k}": MAP(k, divide_by_k=True),
        f"NDCG@{k}": NDCG(k),
        f"NDCG(divide_by_achievable=True)@{k}": NDCG(k, divide_by_achievable=True),
        f"CatalogCoverage@{k}": CatalogCoverage(k, normalize=True),
        f"MeanInvUserFreq@{k}": MeanInvUserFreq(k),
        f"AvgRecPopularity@{k}": AvgRecPopularity(k),
        f"Serendipity@{k}": Serendipity(k),
    }
    found = calc_metrics(
        wanted,
        reco=pd.DataFrame(reco, columns=[Columns.User, Columns.Item, Columns.Rank]),
        interactions=pd.DataFrame(truth, columns=Columns.UserItem),
        prev_interactions=pd.DataFrame(given["train"], columns=Columns.UserItem),
        catalog=[f"i{code:03}" for code in range(given["n_items"])],
    )
    return {name: float(value) for name, value in found.items()}


def recommenders(given: Any) -> dict[str, float]:
    import pandas as pd
    from recommenders.evaluation import python_evaluation as theirs

    k = given["k"]
    reco = [(u, i, 100.0 - rank) for u, items in given["lists"].items() for rank, i in enumerate(items)]
    truth = [(u, i, r) for u, rows in given["truth"].items() for i, r in rows.items()]
    reco = pd.DataFrame(reco, columns=["userID", "itemID", "prediction"])
    truth = pd.DataFrame(truth, columns=["userID", "itemID", "rating"])
    names = ("precision_at_k", "recall_at_k", "r_precision_at_k", "ndcg_at_k", "map", "map_at_k")
    found = {f"{name}(k={k})": getattr(theirs, name)(truth, reco, k=k) for name in names}
    for kind in ("raw", "exp"):
        found[f"ndcg_at_k(score_type='{kind}', k={k})"] = theirs.ndcg_at_k(truth, reco, k=k, score_type=kind)
    train = pd.DataFrame(given["train"], columns=["userID", "itemID"])
    top = theirs.get_top_k_items(reco, col_rating="prediction", k=k)[["userID", "itemID"]]
    for name in ("catalog_coverage", "distributional_coverage", "novelty"):
        found[f"{name}(k={k})"] = getattr(theirs, name)(train, top)
    return {name: float(value) for name, value in found.items()}


def lenskit(given: Any) -> dict[str, float]:
    from lenskit.data import ItemList, ItemListCollection
    from lenskit.metrics import NDCG, RBP, Hit, Precision, Recall, RecipRank, RunAnalysis
    from lenskit.metrics.ranking._map import AveragePrecision

    k = given["k"]
    lists, truth = ItemListCollection(["user_id"]), ItemListCollection(["user_id"])
    for user, rows in given["truth"].items():
        truth.add(ItemList(item_ids=list(rows), rating=[float(r) for r in rows.values()]), user_id=user)
        lists.add(ItemList(item_ids=given["lists"].get(user, []), ordered=True), user_id=user)
    wanted = {
        f"Precision@{k}": Precision(k),
        f"Recall@{k}": Recall(k),
        f"Hit@{k}": Hit(k),
        f"RecipRank@{k}": RecipRank(k),
        f"AveragePrecision@{k}": AveragePrecision(k),
        f"NDCG@{k}": NDCG(k),
        f"NDCG(gain='rating')@{k}": NDCG(k, gain="rating"),
        f"RBP@{k}": RBP(k),
    }
    analysis = RunAnalysis()
    for name, metric in wanted.items():
        analysis.add_metric(metric, label=name)
    values = analysis.measure(lists, truth).list_metrics()
    return {name: float(values[name].mean()) for name in wanted}


def implicit(given: Any) -> dict[str, float]:
    import numpy as np
    from implicit.evaluation import ranking_metrics_at_k
    from scipy import sparse

    k, users = given["k"], sorted(given["truth"])
    rows = [(n, int(item[1:])) for n, user in enumerate(users) for item in given["truth"][user]]
    shape = len(users), given["n_items"]
    test = sparse.csr_matrix((np.ones(len(rows)), tuple(np.array(rows).T)), shape=shape)
    table = np.full((len(users), k), -1, dtype=np.int32)
    for n, user in enumerate(users):
        codes = [int(item[1:]) for item in given["lists"].get(user, [])][:k]
        table[n, : len(codes)] = codes

    class Stored:
        def recommend(self, userid: Any, user_items: Any, N: int = 10, **more: Any) -> Any:
            return table[np.asarray(userid)], np.zeros((len(np.atleast_1d(userid)), N), dtype=np.float32)

    found = ranking_metrics_at_k(Stored(), sparse.csr_matrix(shape), test, K=k, show_progress=False)
    return {f"{name}@{k}": float(value) for name, value in found.items()}


def recbole(given: Any) -> dict[str, float]:
    import numpy as np
    import torch

    vars(np)["float"] = float  # RecBole is older than NumPy's removal of this name
    from recbole.evaluator import metrics

    k, users = given["k"], sorted(given["truth"])
    hits = np.zeros((len(users), k + 1), dtype=np.int64)  # the last column: how many items are relevant
    listed = np.zeros((len(users), k), dtype=np.int64)
    for n, user in enumerate(users):
        items = given["lists"][user][:k]
        hits[n, :k] = [item in given["truth"][user] for item in items]
        hits[n, k] = len(given["truth"][user])
        listed[n] = [int(item[1:]) + 1 for item in items]  # 0 is their padding
    counts: dict[int, int] = {}
    for _, item in given["train"]:
        counts[int(item[1:]) + 1] = counts.get(int(item[1:]) + 1, 0) + 1
    data = {
        "rec.topk": torch.tensor(hits),
        "rec.items": torch.tensor(listed),
        "data.num_items": given["n_items"] + 1,
        "data.count_items": counts,
    }
    config = {"topk": [k], "metric_decimal_place": 9}
    names = ["Hit", "MRR", "MAP", "Recall", "NDCG", "Precision"]
    names += ["ItemCoverage", "AveragePopularity", "ShannonEntropy", "GiniIndex"]
    found: dict[str, float] = {}
    for name in names:
        found |= getattr(metrics, name)(config).calculate_metric(data)
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    json.dump([globals()[sys.argv[1]](given) for given in json.load(sys.stdin)], answers)
    answers.close()
