"""One list, three ways to it: for every algorithm, what the offline evaluation measured, what the API answers and what
``mlflow models serve`` answers are the same items in the same order with the same scores.

Both apps are the real ones, asked in this process: ``create_app``, and the app that MLflow's server runs.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np
import pytest
from fastapi import FastAPI
from scipy import sparse

from recsys_lab import evaluate, load_dataset, make_algorithm, split
from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE
from recsys_lab.data.ranked_lists import RankedLists
from recsys_lab.serving import model_store
from recsys_lab.serving.app import create_app
from recsys_lab.serving.bundle import make_bundle, save_bundle
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.models import open_model
from recsys_lab.splits import Split
from tests.serving.apps import SMALL, settings_in, trial_of

K = 10
TIE_SEED = 5  # not the default: a server that forgot it would order equal scores otherwise
N_USERS = 200
Listed: TypeAlias = dict[str, tuple[str, list[tuple[str, float]]]]  # user -> where from, and items with their scores


@cache
def _parts() -> Split:
    return split(load_dataset("synthetic-small"), "temporal_user", test=0.2)


@dataclass(frozen=True)
class Served:
    """A fitted algorithm behind both apps."""

    algorithm: Algorithm
    api: FastAPI
    mlflow: Any


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """The app, without a registry to watch: models are put in by the tests."""
    app = create_app(settings_in(tmp_path_factory.mktemp("app")))
    app.state.feedback.start()
    yield app
    app.state.service.close()
    app.state.feedback.close()


SERVED = [name for name, entry in CATALOGUE.items() if "truth" not in entry.needs]  # nobody serves the Oracle


@pytest.fixture(params=SERVED, scope="module")
def served(request: pytest.FixtureRequest, api: FastAPI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Fitted once; written as a bundle and as the pyfunc that promotion logs, and read back by each server."""
    from mlflow.pyfunc import load_model, scoring_server

    name = request.param
    if CATALOGUE[name].extra:
        pytest.importorskip(str(CATALOGUE[name].extra), reason=f"needs the extra {CATALOGUE[name].extra}")
    folder = tmp_path_factory.mktemp(name)
    blank = make_algorithm(name)
    algorithm = make_algorithm(name, **{key: value for key, value in SMALL.items() if hasattr(blank, key)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the small networks have not converged
        algorithm.fit(_parts().train)
    bundle = make_bundle(algorithm, _parts().history, tie_seed=TIE_SEED)
    save_bundle(bundle, folder / "bundle", {}, trial_of(bundle))
    model_store.save_pyfunc(folder / "model", folder / "bundle", ())
    api.state.models.swap(open_model("champion", Version("recommender", "1", "", "", {}), folder / "bundle", ()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # the app sets it; here it is taken back
        yield Served(algorithm, api, scoring_server.init(load_model(str(folder / "model"))))


async def _send(app: Any, method: str, path: str, query: str = "", body: bytes = b"") -> Any:
    """The JSON that an ASGI app answers with; a client library would cost more than the app."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
    }
    scope |= {"query_string": query.encode(), "headers": [(b"content-type", b"application/json")], "client": None}
    scope |= {"asgi": {"version": "3.0"}, "http_version": "1.1", "server": ("test", 80), "extensions": {}}

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent)
    assert sent[0]["status"] == 200, content
    return json.loads(content)


def _from_api(app: FastAPI, users: list[str], exclude_seen: bool) -> Listed:
    async def ask() -> Listed:
        found: Listed = {}
        for user in users:
            query = f"k={K}&exclude_seen={str(exclude_seen).lower()}"
            got = await _send(app, "GET", f"/v1/users/{quote(user)}/recommendations", query)
            assert [one["rank"] for one in got["items"]] == list(range(1, len(got["items"]) + 1))
            found[user] = got["source"], [(one["item_id"], one["score"]) for one in got["items"]]
        return found

    return asyncio.run(ask())


def _from_mlflow(app: Any, users: list[str], exclude_seen: bool) -> Listed:
    table = {"columns": ["user_id"], "data": [[user] for user in users]}
    body = json.dumps({"dataframe_split": table, "params": {"k": K, "exclude_seen": exclude_seen}}).encode()
    rows = asyncio.run(_send(app, "POST", "/invocations", body=body))["predictions"]
    found: Listed = {}
    for row in rows:
        _, items = found.setdefault(row["user_id"], (row["source"], []))
        items.append((row["item_id"], row["score"]))
        assert row["rank"] == len(items)
    return found


def _evaluated(algorithm: Algorithm, exclude_seen: bool) -> RankedLists:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how many lists are cut between equal scores
        options: dict[str, Any] = {"tie_seed": TIE_SEED, "exclude_seen": exclude_seen, "fit": False}
        lists = evaluate(algorithm, _parts(), cutoffs=[K], metrics=["ndcg"], **options).lists
    assert lists is not None
    assert len(lists) >= N_USERS
    return lists


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_three_ways_to_one_list(served: Served, exclude_seen: bool) -> None:
    lists, ids = _evaluated(served.algorithm, exclude_seen), _parts().test.catalogue
    users = [str(ids.user_id(code)) for code in lists.users[:N_USERS]]
    api, mlflow = (
        ask(app, [*users, "nobody"], exclude_seen)
        for ask, app in ((_from_api, served.api), (_from_mlflow, served.mlflow))
    )
    assert api == mlflow
    for user, codes, scores in zip(users, lists.items, lists.scores, strict=False):
        source, items = api[user]
        expected = [str(ids.item_id(code)) for code in codes if code >= 0]
        if not expected:  # the model has nothing to say about this user
            assert source == "popularity"
            continue
        assert (source, [item for item, _ in items]) == ("model", expected)
        np.testing.assert_allclose([score for _, score in items], scores[: len(expected)], rtol=1e-5, atol=1e-6)


def test_an_unknown_user_gets_the_list_that_popularity_gives_offline(served: Served) -> None:
    train = _parts().train
    nobody, nothing = np.array([-1], dtype=np.int32), sparse.csr_matrix((1, train.n_items), dtype=np.float32)
    known = np.flatnonzero(_parts().history.item_popularity > 0).astype(np.int32)
    fitted = make_algorithm("Popularity").fit(train)
    expected = fitted.recommend(nobody, nothing, K, known, tie_seed=TIE_SEED)
    for ask, app in ((_from_api, served.api), (_from_mlflow, served.mlflow)):
        source, items = ask(app, ["nobody"], True)["nobody"]
        assert source == "popularity"
        assert [item for item, _ in items] == [str(train.catalogue.item_id(code)) for code in expected.items[0]]
