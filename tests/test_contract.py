"""Every algorithm of the catalogue keeps the contract, in every process alike, and personalised ones beat chance."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, RatingPredictor
from recsys_lab.algorithms.catalogue import CATALOGUE, algorithm_class, make_algorithm
from recsys_lab.algorithms.contract import AlgorithmContract, recommend_all
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.synthetic import load

SMALL = {"n_neighbors": 10, "n_factors": 12}  # the defaults would keep everything there is
TWO_FACTORS = {"IALS", "WARP", "RankingNMF", "ImplicitLMF"}  # with more they learn a checkerboard of 20 users by heart
ALTERNATIVES: dict[str, list[Any]] = {
    "method": ["sgd"],
    "similarity": ["jaccard", "pearson", "cosine"],
    "min_support": [12],
    "moment": ["mean"],
    "relevance_threshold": [4.0],
    "max_memory_gb": [1e-9],
    "layers": [(8,)],
    "first": ["PureSVD"],
    "second": ["Popularity"],
    "base": ["PureSVD"],
    "first_parameters": [{"regularization": 5.0}],
    "second_parameters": [{"n_neighbors": 3}],
    "base_parameters": [{"regularization": 5.0}],
    "kinds": [("genre",), ("other",)],
}
# neural models: few epochs where what they have learnt does not matter, and enough where it does
FEW_EPOCHS: dict[str, Any] = {"n_epochs": 2, "batch_size": 256}
ALL_ROWS = {"learning_rate": 0.01, "validation_share": 0.0}
TRAINED: dict[str, dict[str, Any]] = {
    "GMF": {"n_epochs": 60, "batch_size": 32, **ALL_ROWS},
    "MLP": {"n_epochs": 15, "batch_size": 16, "regularization": 1e-4, **ALL_ROWS},
    "NeuMF": {"n_epochs": 5, "batch_size": 16, "regularization": 1e-4, **ALL_ROWS},
    "TwoTower": {"n_epochs": 100, "batch_size": 240, **ALL_ROWS},
    "MultVAE": {"n_epochs": 60, "batch_size": 5, **ALL_ROWS},
    "LightGCN": {"n_epochs": 60, "batch_size": 32, **ALL_ROWS},
    "SASRec": {"n_epochs": 40, "batch_size": 5, "dropout": 0.0, **ALL_ROWS},
}
STOPS_EARLY = {"patience": {"n_epochs": 40, "learning_rate": 0.002}}
COMPANIONS: dict[str, dict[str, dict[str, Any]]] = {
    "Blend": {"random_state": {"first": "Random"}},
    **{name: {"random_state": {"base": "Random"}} for name in ("MMR", "PopularityDebiased", "Calibrated")},
    **dict.fromkeys(TRAINED, STOPS_EARLY),
    "BaselineOnly": {"learning_rate": {"method": "sgd"}, "regularization": {"method": "sgd"}},
    "UserKNN": {"alpha": {"similarity": "tversky"}, "beta": {"similarity": "tversky"}},
    "ItemKNN": {"alpha": {"similarity": "tversky"}, "beta": {"similarity": "tversky"}},
    "IALS": {"subspace_size": {"solver": "subspace", "n_factors": 5}},
    "Markov": {"decay": {"n_last": 5}},
    "RankingNMF": {
        "loss": {"solver": "mu", "initial": "random"},
        "l1_ratio": {"regularization": 0.1},
        "random_state": {"initial": "random"},
    },
    "NMF": {"bias_regularization": {"biased": True}, "learning_rate": {"biased": True}},
    **{
        name: {"shrinkage": {"similarity": "pearson_baseline"}}
        for name in ("KNNBasic", "KNNWithMeans", "KNNWithZScore", "KNNBaseline")
    },
}


def _missing(name: str) -> str:
    """The command that installs the extra an entry needs; empty where nothing is missing."""
    try:
        algorithm_class(name)
    except ImportError as error:
        if not CATALOGUE[name].extra:
            raise
        return str(error)
    return ""


def _skipped(reason: str) -> type:
    def test_contract(self: object) -> None:
        pytest.skip(reason)

    return type("Skipped", (), {"test_contract": test_contract})


class NeuralContract(AlgorithmContract):
    """The same, with the training that finding something takes."""

    trained: ClassVar[dict[str, Any]]

    def test_it_learns_what_it_says(self, algorithm: Algorithm) -> None:
        super().test_it_learns_what_it_says(algorithm.set_params(**self.trained))


def _suite(name: str) -> type[AlgorithmContract]:
    fields = set(inspect.signature(algorithm_class(name)).parameters)
    members: dict[str, Any] = {
        "algorithm_class": algorithm_class(name),
        "hyper_parameters": {key: value for key, value in SMALL.items() if key in fields and name != "SVD"}
        | ({"n_factors": 2} if name in TWO_FACTORS else {}),
        "alternatives": {"n_epochs": [3], **ALTERNATIVES} if name == "BaselineOnly" else ALTERNATIVES,
        "companions": COMPANIONS.get(name, {}),
    }
    if name in TRAINED:
        members["hyper_parameters"] = {**members["hyper_parameters"], **FEW_EPOCHS}
        return type(f"Test{name}", (NeuralContract,), {**members, "trained": TRAINED[name]})
    return type(f"Test{name}", (AlgorithmContract,), members)


MISSING = {name: _missing(name) for name in CATALOGUE}
HERE = [name for name in CATALOGUE if not MISSING[name]]
for _name in CATALOGUE:
    globals()[f"Test{_name}"] = _skipped(MISSING[_name]) if MISSING[_name] else _suite(_name)


def _digest(name: str) -> str:
    """Of the lists; of the scores too where the catalogue says that they repeat bit by bit."""
    train = contract_data()
    lists = recommend_all(make_algorithm(name).fit(train), train, k=10)
    scores = lists.scores.tobytes() if CATALOGUE[name].repeatable == "bitwise" else b""
    return hashlib.sha256(lists.items.tobytes() + scores).hexdigest()


def digests() -> dict[str, str]:
    return {name: _digest(name) for name in HERE}


def test_another_process_with_other_threads_and_hash_seed_gives_the_same_lists() -> None:
    code = (
        "import importlib.util, json; "
        f"spec = importlib.util.spec_from_file_location('contract', {__file__!r}); "
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); "
        "print(json.dumps(module.digests()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == digests()


@pytest.fixture(scope="module")
def halves() -> tuple[Interactions, Interactions]:
    """synthetic-small, the last fifth of each user withheld."""
    data = load("synthetic-small")
    assert data.timestamps is not None
    order = np.lexsort((data.timestamps, data.users))
    counts = data.user_activity
    place = np.arange(len(data)) - np.repeat(np.cumsum(counts) - counts, counts)
    late = place >= np.repeat(np.ceil(0.8 * counts), counts)
    return data.select(order[~late]), data.select(order[late])


def _hits(algorithm: Algorithm, train: Interactions, test: Interactions) -> int:
    """How many withheld rows stand in the first ten."""
    items = recommend_all(algorithm.fit(train), train, k=10).items
    return sum(int(np.isin(items[user], test.matrix[user].indices).sum()) for user in range(train.n_users))


# models of ratings order by how much an item is liked, not by whether it is taken next
RANKERS = [name for name in HERE if CATALOGUE[name].task != "rating" and CATALOGUE[name].learns != "nothing"]
RATERS = [name for name in HERE if CATALOGUE[name].task != "ranking" and CATALOGUE[name].learns != "nothing"]


@pytest.mark.parametrize("name", RANKERS)
def test_an_algorithm_that_ranks_beats_random(name: str, halves: tuple[Interactions, Interactions]) -> None:
    chance = np.mean([_hits(make_algorithm("Random", random_state=seed), *halves) for seed in range(3)])
    assert _hits(make_algorithm(name), *halves) > 1.2 * chance


@pytest.mark.parametrize("name", RATERS)
def test_an_algorithm_that_predicts_ratings_beats_their_mean(
    name: str, halves: tuple[Interactions, Interactions]
) -> None:
    train, test = halves
    model = make_algorithm(name).fit(train)
    assert isinstance(model, RatingPredictor)
    predicted = model.predict(test.users, test.items)
    known = np.isfinite(predicted)
    assert known.mean() > 0.9
    errors, spread = (test.ratings - predicted)[known], (test.ratings - train.ratings.mean())[known]
    assert np.mean(errors**2) < 0.95 * np.mean(spread**2)


@pytest.mark.parametrize("name", ["ItemKNN", "UserKNN", "EASE", "PureSVD", "ContentKNN", "UserProfile"])
def test_histories_of_another_catalogue_are_refused(name: str) -> None:
    model = make_algorithm(name).fit(contract_data())
    with pytest.raises(ValueError, match=r"51 columns; the model was fitted on 50|mismatch"):
        model.score(np.zeros(1, dtype=np.int32), sparse.csr_matrix((1, 51), dtype=np.float32))
