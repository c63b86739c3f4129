"""The API's lists are the offline evaluation's and the MLflow pyfunc's, for algorithms of every family."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from recsys_lab import evaluate, load_dataset, make_algorithm, split
from recsys_lab.algorithms.catalogue import CATALOGUE
from recsys_lab.serving import pyfunc
from tests.serving.apps import SMALL, Registry, Start, bundle_of

NAMES = ["Popularity", "ItemKNN", "UserKNN", "EASE", "RP3beta", "IALS", "BPR", "SVD", "NMF", "ContentKNN", "MultVAE"]


@pytest.mark.parametrize("name", NAMES)
def test_the_api_lists_what_was_evaluated(name: str, registry: Registry, start: Start, tmp_path: Path) -> None:
    if CATALOGUE[name].extra:
        pytest.importorskip(str(CATALOGUE[name].extra), reason=f"needs the extra {CATALOGUE[name].extra}")
    parts = split(load_dataset("synthetic-small"), "temporal_user", test=0.2)
    blank = make_algorithm(name)
    algorithm = make_algorithm(name, **{key: value for key, value in SMALL.items() if hasattr(blank, key)})
    lists = evaluate(algorithm, parts, cutoffs=[10]).lists
    assert lists is not None
    number = registry.add(bundle_of(name), "champion")
    client = start()
    model = pyfunc.RecommenderModel()
    place = str(registry.folder / number)
    model.load_context(SimpleNamespace(artifacts={"bundle": place}, model_config={}))
    catalogue = parts.test.catalogue
    users = [str(catalogue.user_id(code)) for code in lists.users[:200]]
    table = model.predict(None, pd.DataFrame({"user_id": [*users, "nobody"]}))
    pyfunc_lists = table.groupby("user_id", sort=False)["item_id"].agg(list)
    for user, row in zip(users, lists.items, strict=False):
        got = client.get(f"/v1/users/{user}/recommendations").json()
        found = [one["item_id"] for one in got["items"]]
        assert found == pyfunc_lists[user]
        expected = [str(catalogue.item_id(item)) for item in row if item >= 0]
        if expected:
            assert (got["source"], found) == ("model", expected)
        else:
            assert got["source"] == "popularity"
    cold = client.get("/v1/users/nobody/recommendations").json()
    assert [one["item_id"] for one in cold["items"]] == pyfunc_lists["nobody"]
    assert "mlflow" in sys.modules
