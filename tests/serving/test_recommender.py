"""Answers from a bundle, without an app: filters, folding in, reasons, similar items, and where nothing can be said."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.data.datasets import load_dataset
from recsys_lab.serving.bundle import load_bundle, load_manifest, make_bundle, save_bundle
from recsys_lab.serving.recommender import Recommender
from recsys_lab.splits import split


@cache
def _served(name: str = "EASE") -> Recommender:
    parts = split(contract_data(), "temporal_user", test=0.2)
    return Recommender(make_bundle(make_algorithm(name).fit(parts.train), parts.history))


def test_an_unknown_user_is_nobodys() -> None:
    assert _served().recommend("nobody", 5) is None


def test_ids_are_compared_as_text() -> None:
    served = _served()
    user = served.bundle.user_ids[3]
    assert served.recommend(user, 5) == served.recommend(str(user), 5)


def test_filters_and_length() -> None:
    served = _served()
    user = served.bundle.user_ids[0]
    whole = served.recommend(user, served.bundle.n_items + 5)
    assert whole is not None
    assert whole.exhausted
    seen = set(served.bundle.histories[0].indices)
    assert {served.item_codes[str(one.item_id)] for one in whole.items} == set(served.bundle.candidates) - seen
    without = served.recommend(user, 5, exclude=[whole.items[0].item_id, "no such item"])
    assert without is not None
    assert [one.item_id for one in without.items] == [one.item_id for one in whole.items[1:6]]
    again = served.recommend(user, served.bundle.n_items, exclude_seen=False)
    assert again is not None
    assert len(again.items) == len(served.bundle.candidates)


def test_a_genre_keeps_its_items_only() -> None:
    data = load_dataset("synthetic-small")
    parts = split(data, "temporal_user", test=0.2)
    served = Recommender(make_bundle(make_algorithm("EASE").fit(parts.train), parts.history))
    name = next(names[0] for names in served.bundle.genres if names)
    answer = served.recommend(served.bundle.user_ids[0], 10, genre=name.upper())
    assert answer is not None
    assert answer.items
    assert all(name in one.genres for one in answer.items)
    nothing = served.recommend(served.bundle.user_ids[0], 10, genre="no such genre")
    assert nothing is not None
    assert nothing.items == []
    assert nothing.exhausted


def test_folding_in_a_users_own_history_gives_the_users_list() -> None:
    served = _served()
    row = served.bundle.histories[2]
    ratings = {served.bundle.item_ids[code]: value for code, value in zip(row.indices, row.data, strict=True)}
    answer = served.fold_in({**ratings, "unknown": 5.0}, 10, explain=True)
    known = served.recommend(served.bundle.user_ids[2], 10)
    assert known is not None
    assert answer.source == "fold_in"
    assert answer.ignored_items == ["unknown"]
    assert [one.item_id for one in answer.items] == [one.item_id for one in known.items]
    assert all(set(one.because) <= set(ratings) for one in answer.items)
    assert any(one.because for one in answer.items)


def test_reasons_of_a_linear_model_are_its_largest_terms() -> None:
    served = _served()
    answer = served.recommend(served.bundle.user_ids[1], 3, explain=True)
    assert answer is not None
    weights = served.bundle.algorithm.weights_  # type: ignore[attr-defined]
    held = served.bundle.histories[1].indices
    for one in answer.items:
        code = served.item_codes[str(one.item_id)]
        largest = held[np.argsort(-weights[held, code], kind="stable")][:3]
        positive = [served.bundle.item_ids[other] for other in largest if weights[other, code] > 0]
        assert one.because == positive


@pytest.mark.parametrize("name", ["BPR", "SVD", "Popularity"])
def test_a_model_that_cannot_fold_in_gives_what_is_popular(name: str) -> None:
    served = _served(name)
    item = served.bundle.item_ids[4]
    answer = served.fold_in({item: 5.0}, 5)
    assert answer.source == ("fold_in" if served.bundle.algorithm.serves_new_users else "popularity")
    assert item not in [one.item_id for one in answer.items]
    assert len(answer.items) == 5


@pytest.mark.parametrize("name", ["EASE", "BPR", "SVD", "Popularity", "IALS"])
def test_similar_items_leave_the_item_out(name: str) -> None:
    served = _served(name)
    item = served.bundle.item_ids[7]
    answer = served.similar(item, 5)
    assert answer is not None
    assert len(answer.items) == 5
    assert item not in [one.item_id for one in answer.items]
    assert served.similar("no such item", 5) is None


def test_everything_seen_is_an_empty_exhausted_list() -> None:
    served = _served()
    full = served.bundle.histories.tolil()
    full[0, :] = 1
    sated = Recommender(replace(served.bundle, histories=full.tocsr()))
    answer = sated.recommend(sated.bundle.user_ids[0], 5)
    assert answer is not None
    assert answer.items == []
    assert answer.exhausted


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    save_bundle(_served().bundle, tmp_path / "bundle", {"run_id": "r"}, [])
    manifest = load_manifest(tmp_path / "bundle")
    assert (manifest["algorithm"], manifest["run_id"]) == ("EASE", "r")
    path = tmp_path / "bundle" / "state" / "state.json"
    path.write_text(path.read_text().replace('"format": 2', '"format":  2'))
    with pytest.raises(ValueError, match=r"state\.json has sha256"):
        load_bundle(tmp_path / "bundle")
    with pytest.raises(FileNotFoundError, match="recsys-lab promote"):
        load_bundle(tmp_path / "none")
