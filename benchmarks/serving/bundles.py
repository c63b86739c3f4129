"""What is served: iALS with 64 factors on a data set, as a replica's copy on disk and as MLflow's pyfunc."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from recsys_lab import load_dataset, make_algorithm
from recsys_lab.data import synthetic
from recsys_lab.data.interactions import Interactions
from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import make_bundle, save_bundle
from recsys_lab.serving.copies import Copies
from recsys_lab.serving.recommender import Recommender
from recsys_lab.serving.trial import trial_lists

N_USERS = 500  # who are asked for, in turn
LARGE = (20_000, 27_000, 1_000_000)  # users, items, rows of the generated catalogue with 27k items


@dataclass(frozen=True)
class Served:
    """A fitted model in the forms that the contenders read."""

    data: str
    n_items: int
    users: list[str]
    n_bytes: int  # of a list of ten, as JSON
    copies: Path  # the bundle folder of a replica
    pyfunc: Path


def data_of(size: str, quick: bool) -> Interactions:
    """The rows of "small" (3.7k items: MovieLens 1M where RECSYS_LAB_DATA names it) or "large" (27k items)."""
    if quick:
        return load_dataset("synthetic-small")
    if size == "large":
        return synthetic.generate(*LARGE)
    return load_dataset("ml-1m-untimed" if os.environ.get("RECSYS_LAB_DATA") else "synthetic-1m")


def prepare(data: Interactions, folder: Path, *, n_epochs: int = 5) -> Served:
    """Fit and write everything below ``folder``."""
    folder.mkdir(parents=True)
    bundle = make_bundle(make_algorithm("IALS", n_factors=64, n_epochs=n_epochs).fit(data), data)
    served = Recommender(bundle)
    users = [str(user) for user in bundle.user_ids[:: max(1, bundle.n_users // N_USERS)]][:N_USERS]
    about = {"label": "IALS", "metrics": {}, "run_id": ""}
    copies = Copies(folder / "bundles")
    version = model_store.Version("recommender", "1", "", "here", {})
    place = copies.place("champion", version)
    place.parent.mkdir(parents=True)
    save_bundle(bundle, place, about, trial_lists(served))
    copies.remember("champion", version, place)
    model_store.save_pyfunc(folder / "pyfunc", _as_bundle(place, folder), ())
    n_bytes = len(orjson.dumps([asdict(one) for one in _list(served, users[0])]))
    name = str(data.catalogue.info["name"])
    return Served(name, bundle.n_items, users, n_bytes, folder / "bundles", folder / "pyfunc")


def _list(served: Recommender, user: str) -> list:
    answer = served.recommend(user, 10)
    assert answer is not None, user
    return answer.items


def _as_bundle(place: Path, folder: Path) -> Path:
    """The same folder under the name that MLflow keeps."""
    link = folder / "bundle"
    link.symlink_to(place, target_is_directory=True)
    return link
