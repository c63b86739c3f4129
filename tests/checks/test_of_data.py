"""L06: content that is made of what users did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab import Interactions, load_dataset, read_interactions, split
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.checks import content_check, leak_check


def with_items(data: Interactions, **columns: object) -> Interactions:
    items = data.catalogue.items.assign(**columns)
    return replace(data, catalogue=replace(data.catalogue, items=items))


def declared(data: Interactions, **content: str) -> Interactions:
    info = {**data.catalogue.info, "content": {**data.catalogue.info.get("content", {}), **content}}
    return replace(data, catalogue=replace(data.catalogue, info=info))


def test_l06_declared_content_passes():
    check = content_check(split(contract_data(), "random"))
    assert (check.id, check.level, check.passed) == ("L06", "W", True)
    assert 0 < check.value < 0.95
    assert load_dataset("synthetic-small").catalogue.info["content"]["year"] == "static"
    bare = replace(contract_data().catalogue, items=pd.DataFrame(index=range(50)), item_features=None, feature_names=())
    assert content_check(split(replace(contract_data(), catalogue=bare), "random")).value is None


@pytest.mark.parametrize("made", ["rows", "log of rows", "mean rating", "feature"])
def test_l06_a_static_column_that_tells_the_test_part(made):
    data = contract_data()
    test = split(data, "random", test=0.5).test
    counts = test.item_popularity.astype(float)
    means = np.bincount(test.items, test.ratings, 50) / np.maximum(counts, 1)
    if made == "feature":
        catalogue = data.catalogue
        features = sparse.csr_matrix(sparse.hstack([catalogue.item_features, counts[:, None]]), dtype=np.float32)
        names = [*catalogue.feature_names, "hype:all"]
        leaky = replace(data, catalogue=replace(catalogue, item_features=features, feature_names=names))
        leaky = declared(leaky, hype="static")
    else:
        column = {"rows": counts, "log of rows": np.log1p(counts), "mean rating": means}[made]
        leaky = declared(with_items(data, hype=column), hype="static")
    check = content_check(split(leaky, "random", test=0.5))
    assert (check.passed, check.level) == (False, "W")
    assert check.value > 0.99
    assert check.message.startswith("hype")


def test_l06_undeclared_and_derived_columns_are_named():
    data = with_items(contract_data(), price=np.arange(50) % 7)
    undeclared = content_check(split(data, "random"))
    assert not undeclared.passed
    assert "not declared: price; add dataset.content: {price: static}" in undeclared.message
    derived = content_check(split(declared(data, price="train_derived"), "random"))
    assert "price: made before this split from what users did" in derived.message
    fine = split(declared(data, price="train_derived"), "random")
    given = replace(fine, card=replace(fine.card, strategy="fixed"))  # whoever gave the parts could see to it
    assert content_check(given).passed


def test_l06_own_files_declare_their_columns():
    rows = pd.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [1, 2, 2, 3]})
    items = pd.DataFrame({"item_id": [1, 2, 3], "genres": ["a", "b|a", "b"], "hype": [1, 2, 3]})
    read = {"rating": None, "timestamp": None, "items": items}
    silent = leak_check(split(read_interactions(rows, **read), "random", test=0.5))
    assert "not declared: genres, hype" in next(check for check in silent if check.id == "L06").message
    content = {"genres": "static", "hype": "static"}
    told = leak_check(split(read_interactions(rows, **read, content=content), "random", test=0.5))
    assert next(check for check in told if check.id == "L06").passed
    with pytest.raises(ValueError, match="content: the items have no column 'genre'; did you mean 'genres'"):
        read_interactions(rows, **read, content={"genre": "static"})
    with pytest.raises(ValueError, match="content of 'hype' is 'static' or 'train_derived'; found 'known'"):
        read_interactions(rows, **read, content={"hype": "known"})
