"""Given parts: files of every format, frames and Interactions, under one catalogue."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_lab.data.content import label_features, with_features
from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import fixed_split, split


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def pairs(part):
    return {(row.user_id, row.item_id) for row in part.to_frame().itertuples()}


def test_pairs_with_ratings_and_times(tmp_path):
    train = write(tmp_path, "u1.base", "1\t10\t5\t100\n1\t11\t3\t101\n2\t10\t4\t102\n")
    test = write(tmp_path, "u1.test", "2\t12\t1\t90\n3\t10\t2\t200\n")
    cut = fixed_split(train, test)
    assert cut.train.catalogue is cut.test.catalogue
    assert list(cut.train.catalogue.user_ids) == [1, 2, 3]
    assert list(cut.train.catalogue.item_ids) == [10, 11, 12]
    assert pairs(cut.test) == {(2, 12), (3, 10)}
    assert cut.train.ratings.tolist() == [5, 3, 4]
    assert cut.test.timestamps.tolist() == [90, 200]
    assert cut.history is cut.train
    card = cut.card
    assert (card.strategy, card.seed, card.fold) == ("fixed", 0, None)
    assert card.parameters["sources"]["train"] == {
        "file": "u1.base",
        "sha256": hashlib.sha256(train.read_bytes()).hexdigest(),
    }
    assert card.future_leak_share == pytest.approx(3 / 6)
    assert (card.counts["n_users_cold"], card.counts["n_items_cold"]) == (1, 1)
    union = pd.concat([cut.train.to_frame(), cut.test.to_frame()])
    assert card.dataset_hash == Interactions.from_frame(union).fingerprint


def test_lists_with_validation(tmp_path):
    parts = [
        write(tmp_path, f"{name}.txt", text) for name, text in [("a", "0 1 2 3\n1 5\n"), ("b", "1 2\n"), ("c", "0 7\n")]
    ]
    cut = fixed_split(parts[0], parts[1], parts[2], format="lists")
    assert pairs(cut.train) == {(0, 1), (0, 2), (0, 3), (1, 5)}
    assert pairs(cut.test) == {(1, 2)}
    assert pairs(cut.validation) == {(0, 7)}
    assert pairs(cut.history) == pairs(cut.train) | {(0, 7)}
    assert cut.train.timestamps is None
    assert (cut.train.ratings == 1).all()
    assert fixed_split(*parts, format={"train": "lists", "test": "lists", "validation": "pairs"}).card.fingerprint == (
        cut.card.fingerprint
    )


def test_candidates_drop_what_the_user_has_in_train(tmp_path):
    train = write(tmp_path, "train.txt", "0 1\n0 2\n1 3\n")
    test = write(tmp_path, "test.txt", "0 5 1 6 7\n1 1 2 5 9\n")
    cut = fixed_split(train, test, format="candidates")
    assert pairs(cut.test) == {(0, 5), (1, 1)}
    ids = cut.train.catalogue.item_ids
    assert sparse.issparse(cut.candidates)
    assert cut.candidates.shape == (2, len(ids))
    assert [sorted(ids[cut.candidates[user].indices]) for user in (0, 1)] == [[5, 6, 7], [1, 2, 5, 9]]
    assert (cut.card.counts["n_candidates"], cut.card.counts["n_candidates_dropped"]) == (7, 1)
    kept = fixed_split(train, test, format="candidates", drop_seen_candidates=False)
    assert sorted(ids[kept.candidates[0].indices]) == [1, 5, 6, 7]
    assert kept.card.fingerprint != cut.card.fingerprint
    again = fixed_split(train, write(tmp_path, "again.txt", "0 1 2 6\n"), format="candidates")
    assert sorted(again.train.catalogue.item_ids[again.candidates[0].indices]) == [
        1,
        6,
    ]  # the positive stays, though the user has it in train
    frame = pd.DataFrame({"user_id": [0, 0, 1], "item_id": [5, 6, 1], "is_positive": [True, False, True]})
    assert pairs(fixed_split(train, frame, format="candidates").test) == {(0, 5), (1, 1)}


def test_candidates_beside_the_test_part(tmp_path):
    train = pd.DataFrame({"user_id": [0, 0, 1], "item_id": [1, 2, 3]})
    test = pd.DataFrame({"user_id": [0, 1], "item_id": [5, 1]})
    listed = write(tmp_path, "candidates.txt", "0 5 1 8\n1 1 2\n")
    cut = fixed_split(train, test, candidates=listed)
    assert list(cut.train.catalogue.item_ids) == [1, 2, 3, 5, 8]
    assert cut.candidates.toarray().tolist() == [[0, 0, 0, 1, 1], [1, 1, 0, 0, 0]]
    twice = pd.DataFrame({"user_id": [0, 0, 0, 1, 1], "item_id": [5, 8, 8, 1, 2]})
    assert fixed_split(train, test, candidates=twice).candidates.toarray().tolist() == cut.candidates.toarray().tolist()
    with pytest.raises(ValueError, match=r"test user .*1.* has no candidates \(1 such users\)"):
        fixed_split(train, test, candidates=twice[twice["user_id"] == 0])
    with pytest.raises(ValueError, match=r"candidates are given for user .*77.*, who has no row"):
        fixed_split(train, test, candidates=twice.assign(user_id=77))
    with pytest.raises(ValueError, match="not both"):
        fixed_split(train, write(tmp_path, "test.txt", "0 5 1\n1 1 2\n"), format="candidates", candidates=listed)


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "csv.gz", "frame"])
def test_tables_by_column_names(kind, tmp_path):
    frame = pd.DataFrame({"who": ["a", "b", "a"], "what": ["x", "x", "y"], "stars": [1.0, 2.0, 3.5], "note": "-"})
    path = tmp_path / f"rows.{kind}"
    if kind == "frame":
        given = frame
    else:
        given = path
        text = frame.to_csv(index=False, sep="\t" if kind == "tsv" else ",")
        if kind == "parquet":
            frame.to_parquet(path)
        elif kind == "csv.gz":
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
    test = pd.DataFrame({"who": ["b"], "what": ["y"], "stars": [5.0]})
    cut = fixed_split(given, test, user="who", item="what", rating="stars")
    assert pairs(cut.train) == {("a", "x"), ("b", "x"), ("a", "y")}
    assert cut.train.ratings.tolist() == [1.0, 2.0, 3.5]
    implicit = fixed_split(given, test, user="who", item="what", rating=None)
    assert (implicit.train.ratings == 1).all()
    if kind != "frame":
        with pytest.raises(ValueError, match="no column 'whom'"):
            fixed_split(given, test.rename(columns={"who": "whom", "what": "item"}), user="whom", item="item")


def test_interactions_keep_their_content(frame_of):
    data = Interactions.from_frame(frame_of(1))
    genres = ["Drama|War" if item % 2 else "Comedy" for item in range(data.n_items)]
    data = with_features(data, label_features(genres, "genre"))
    cut = split(data, "temporal_global", validation=0.2)
    again = fixed_split(cut.train, cut.test, cut.validation)
    assert again.card.fingerprint == cut.card.fingerprint
    assert again.card.dataset_hash == cut.card.dataset_hash
    catalogue = again.train.catalogue
    assert catalogue.feature_names == data.catalogue.feature_names
    known = data.catalogue.item_ids.get_indexer(catalogue.item_ids)
    np.testing.assert_array_equal(catalogue.item_features.toarray(), data.catalogue.item_features.toarray()[known])
    fresh = pd.DataFrame({"user_id": [1], "item_id": [999], "rating": [2.0], "timestamp": [99]})
    wider = fixed_split(cut.train, fresh).train.catalogue
    assert wider.item_features[-1].nnz == 0
    assert wider.item_features.shape[0] == wider.n_items


def test_items_given_beside_the_parts(tmp_path):
    train, test = write(tmp_path, "a", "1 1\n"), write(tmp_path, "b", "1 2\n")
    items = pd.DataFrame({"title": ["one", "two", "three"]}, index=[1, 2, 3])
    cut = fixed_split(train, test, items=items, info={"name": "mine"})
    assert cut.train.catalogue.titles(np.array([0, 2])) == ["one", "three"]
    assert cut.train.catalogue.info["name"] == "mine"
    assert set(cut.train.catalogue.info["raw_sha256"]) == {"train", "test"}


def test_row_order_of_the_files(tmp_path):
    rows = ["2 1", "1 3", "1 2"]
    forward, backward = (write(tmp_path, name, "\n".join(order)) for name, order in (("a", rows), ("b", rows[::-1])))
    test = write(tmp_path, "t", "2 3\n")
    in_order = [fixed_split(path, test, row_order="file") for path in (forward, backward)]
    assert in_order[0].train.file_order
    assert in_order[0].train.canonical().users.tolist() == [1, 0, 0]
    assert in_order[0].card.fingerprint != in_order[1].card.fingerprint
    assert fixed_split(forward, test).card.fingerprint == fixed_split(backward, test).card.fingerprint


def test_times_of_some_parts_are_left_out_with_a_warning():
    train = pd.DataFrame({"user_id": [1], "item_id": [1], "rating": [3.0], "timestamp": [9]})
    cut = fixed_split(train, train.assign(item_id=2).drop(columns="timestamp"))
    assert cut.train.timestamps is None
    assert "only train had times; they were left out" in cut.card.warnings


def test_candidates_of_rated_data_count_as_rated_one(tmp_path):
    train = write(tmp_path, "a", "1 1 4\n2 2 5\n")
    cut = fixed_split(train, write(tmp_path, "b", "1 2 3\n2 1 3\n"), format="candidates")
    assert cut.test.ratings.tolist() == [1.0, 1.0]
    assert "its positives count as rated 1" in cut.card.warnings[0]


ROWS = pd.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "rating": [3.0, 4.0]})


@pytest.mark.parametrize(
    ("test", "options", "message"),
    [
        (ROWS.assign(user_id=["x", "y"]), {}, "user_id must be of one type in all parts"),
        (ROWS.drop(columns="rating"), {}, "all parts or none must have ratings"),
        (ROWS, {"row_order": "as it is"}, "'canonical' or 'file'"),
        (ROWS, {"format": "list"}, "has format pairs, lists or"),
        (ROWS, {"format": {"train": "candidates"}}, "the train part has format"),
        (ROWS, {"format": {"tets": "pairs"}}, "format is for train, validation and test; found 'tets'"),
        (ROWS, {"format": "candidates"}, "candidates need the columns"),
    ],
)
def test_what_is_wrong_is_said(test, options, message):
    with pytest.raises(ValueError, match=message):
        fixed_split(ROWS, test, **options)


def test_wrong_files_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        fixed_split(tmp_path / "nowhere.txt", ROWS)
    with pytest.raises(TypeError, match="found int"):
        fixed_split(7, ROWS)
    with pytest.raises(ValueError, match=r"item .*1.* twice \(1 such rows\)"):
        fixed_split(write(tmp_path, "a", "1 1 5\n1 1 4\n"), ROWS)
    whole = Interactions.from_frame(ROWS, timestamp=None)
    with pytest.raises(ValueError, match="the test part has no rows"):
        fixed_split(whole, whole.select(np.zeros(2, dtype=bool)))


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "names", "form", "counts"),
    [
        ("gowalla", ("train.txt", "test.txt"), "lists", (810_128, 217_242, 29_858, 40_981)),
        ("ml-1m-spectralcf", ("train_users.dat", "test_users.dat"), "lists", (179_207, 47_103, 6_014, 3_232)),
        ("citeulike-a-loo", ("train.txt", "test_candidates.txt"), "candidates", (199_435, 5_551, 5_551, 16_980)),
        ("lastfm-lightgcnpp", ("train.txt", "test.txt", "valid.txt"), "lists", (64_315, 18_321, 1_885, 17_388)),
        ("ml-100k", ("u1.base", "u1.test"), "pairs", (80_000, 20_000, 943, 1_682)),
    ],
)
def test_published_files(folder, names, form, counts, real_data):
    cut = fixed_split(*(real_data / folder / name for name in names), format=form)
    assert (len(cut.train), len(cut.test), cut.train.n_users, cut.train.n_items) == counts
    if form == "candidates":
        assert cut.card.counts["n_candidates_dropped"] == 1115
    if folder == "ml-100k":
        assert cut.card.counts["n_users_test"] == 459  # u1 is no random fold
