"""load_dataset: names, counts, what is known about the source, prepared copies; and the real files where they are."""

from __future__ import annotations

import os
import pickle
import re
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_lab.data import datasets
from recsys_lab.data.content import label_features, with_features
from recsys_lab.data.datasets import DATASETS, dataset_table, load_dataset
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.published import Dataset
from recsys_lab.data.sources import Files, Source

reads_of_toy: list[str] = []


def read_toy(files: Files) -> Interactions:
    reads_of_toy.append(str(files.path))
    with files.open("toy.dat") as handle:
        frame = pd.read_csv(handle, sep=" ", names=["user_id", "item_id", "rating"])
    items = pd.DataFrame(
        {"title": ["One", None, "Three"], "year": [1990.0, np.nan, 2001.0]},
        index=pd.Index(["i1", "i2", "i3"], name="item_id"),
    )
    data = Interactions.from_frame(frame, timestamp=None, items=items)
    return with_features(data, label_features(["a|b", "", "b"], "genre"))


@pytest.fixture
def toy(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set called toy with three rows; returns its file."""
    reads_of_toy.clear()
    (data_home / "toy").mkdir()
    file = data_home / "toy" / "toy.dat"
    file.write_text("7 i1 5\n7 i3 3\n9 i1 4\n")
    entry = Dataset("Toy", "1", read_toy, Source(("toy",), ("toy.dat",)), "free", (3, 2, 3), "genres", "https://x.org")
    monkeypatch.setitem(DATASETS, "toy", entry)
    return file


def test_info_says_where_the_data_come_from(toy: Path) -> None:
    info = load_dataset("toy").catalogue.info
    assert info == {
        "name": "toy",
        "title": "Toy",
        "version": "1",
        "url": "https://x.org",
        "licence": "free",
        "source": str(toy.parent),
        "raw_sha256": "bb008f13e424edfe2eb9081a7854a9c7c240a63d5abca850742c3ebf9ce57358",
        "files": {"toy.dat": "bb008f13e424edfe2eb9081a7854a9c7c240a63d5abca850742c3ebf9ce57358"},
        "content": {"title": "static", "year": "static"},
        "filters": [],
    }


def test_the_second_load_is_prepared_and_equal(toy: Path) -> None:
    first, second = load_dataset("toy"), load_dataset("toy")
    assert reads_of_toy == [str(toy.parent)]
    assert first.fingerprint == second.fingerprint
    assert second.to_frame().equals(first.to_frame())
    assert second.timestamps is None
    assert second.catalogue.info == first.catalogue.info
    assert second.catalogue.items.equals(first.catalogue.items)
    assert second.catalogue.item_ids.equals(first.catalogue.item_ids)
    assert (second.catalogue.user_ids.name, second.catalogue.item_ids.name) == ("user_id", "item_id")
    assert list(second.catalogue.feature_names) == ["genre:a", "genre:b"]
    assert (second.catalogue.item_features != first.catalogue.item_features).nnz == 0
    assert second.catalogue.titles(np.array([0, 1], dtype=np.int32)) == ["One", "i2"]
    assert pickle.loads(pickle.dumps(second)).fingerprint == first.fingerprint
    with pytest.raises(ValueError, match="read-only"):
        second.users[0] = 1


@pytest.mark.parametrize("change", ["content", "time", "version", "loader"])
def test_prepared_data_are_never_stale(change: str, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_dataset("toy").fingerprint
    if change == "content":
        toy.write_text("7 i1 5\n7 i3 3\n9 i1 1\n")
    elif change == "time":
        status = toy.stat()
        os.utime(toy, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    elif change == "version":
        monkeypatch.setattr(datasets, "LOADER_VERSION", datasets.LOADER_VERSION + 1)
    else:
        (toy.parent / "more.dat").write_text("a file that a reader may use when it is there")
    again = load_dataset("toy")
    assert len(reads_of_toy) == 2
    assert (again.fingerprint == before) == (change != "content")


def test_prepared_data_that_vanish_are_made_again(toy: Path, own_cache: Path) -> None:
    load_dataset("toy")
    (folder,) = (own_cache / "prepared").iterdir()
    (folder / "items.npy").unlink()
    assert len(load_dataset("toy")) == 3
    assert len(reads_of_toy) == 2


def test_a_cache_that_cannot_be_written_only_warns(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RECSYS_LAB_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="the prepared data are not kept"):
        assert len(load_dataset("toy")) == 3


def test_filters_are_applied_and_reported_on_every_load(toy: Path) -> None:
    for _ in range(2):
        data = load_dataset("toy", minimum_rating=4, binarise=True)
        assert (len(data), data.n_items, data.ratings.tolist()) == (2, 1, [1.0, 1.0])
        assert [report["name"] for report in data.catalogue.info["filters"]] == ["minimum_rating", "binarise"]
    assert load_dataset("toy").catalogue.info["filters"] == []


def test_wrong_counts_say_found_and_expected(toy: Path, own_cache: Path) -> None:
    toy.write_text("7 i1 5\n7 i3 3\n")
    with pytest.raises(
        ValueError, match="toy: found 2 rows, 1 users and 3 items; expected 3 rows, 2 users and 3 items"
    ):
        load_dataset("toy")
    assert not (own_cache / "prepared").exists()


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'ml100k'; did you mean 'ml-100k'\? Known: ml-100k, ml-"):
        load_dataset("ml100k")
    with pytest.raises(ValueError, match="synthetic-small"):
        load_dataset("what")


def test_synthetic_names_go_to_the_generator(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    generator = types.ModuleType("recsys_lab.data.synthetic")

    def load(name: str) -> Interactions:
        asked.append(name)
        return load_dataset("toy")

    generator.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "recsys_lab.data.synthetic", generator)
    monkeypatch.setattr(sys.modules["recsys_lab.data"], "synthetic", generator, raising=False)
    assert len(load_dataset("synthetic-9x9", minimum_rating=4)) == 2
    assert asked == ["synthetic-9x9"]


@pytest.mark.parametrize("name", list(DATASETS))
def test_the_table_is_complete(name: str) -> None:
    entry = DATASETS[name]
    assert not entry.source.url or entry.source.url.startswith("https://")
    assert entry.homepage.startswith("https://")
    assert entry.source.hashes, "nothing vouches for these files"
    for file, expected in entry.source.hashes.items():
        assert file == "zip" or file in entry.source.files
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", expected)
    assert 1 <= entry.n_parts <= len(entry.source.files)
    assert entry.licence
    assert min(entry.counts) > 0


def test_the_documentation_has_the_table_as_it_is() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert dataset_table() in text, "run: python -m recsys_lab.data.datasets, and put its output into docs/data.md"


LOCAL = {
    "ml-100k": (100_000, 19, True),
    "ml-latest-small": (100_836, 19 + 1_472, True),
    "ml-1m-untimed": (1_000_209, 18, False),
    "hetrec2011-lastfm-2k": (92_834, 18_548, False),
    "gowalla": (1_027_370, 0, False),
    "citeulike-t": (134_860, 20_000 + 52_946, False),
    "ml-1m-spectralcf": (226_310, 0, False),
    "citeulike-a-loo": (204_986, 0, False),
    "lastfm-lightgcnpp": (91_779, 0, False),
}


@pytest.mark.data
@pytest.mark.parametrize("name", list(LOCAL))
def test_real_data_load_twice_alike(name: str, real_data: Path) -> None:
    if not (real_data / name).is_dir():
        pytest.skip(f"RECSYS_LAB_DATA has no {name}")
    rows, n_features, timed = LOCAL[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_dataset(name)
        again = load_dataset(name)
    assert len(data) == rows
    assert (data.timestamps is not None) == timed
    assert len(data.catalogue.feature_names) == n_features
    assert again.to_frame().equals(data.to_frame())
    assert again.catalogue.items.equals(data.catalogue.items)
