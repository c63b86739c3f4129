"""Models that change while the service runs: what is swapped in, what never is, and a registry that is down."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recsys_lab.serving import copies, model_store
from recsys_lab.serving.app import create_app
from recsys_lab.serving.models import open_model
from recsys_lab.serving.recommender import Recommender
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, settings_in, wait_until

USER = str(bundle_of().user_ids[3])
LIST = f"/v1/users/{USER}/recommendations"


def _look(client: TestClient) -> None:
    app_of(client).state.watcher.check()


def test_a_moved_alias_is_followed(registry: Registry, client: TestClient) -> None:
    assert client.get(LIST).json()["model"]["version"] == "1"
    registry.add(bundle_of("ItemKNN"), "champion")
    _look(client)
    got = client.get(LIST).json()
    assert got["model"] == {"name": "recommender", "version": "2", "algorithm": "ItemKNN", "role": "champion"}
    expected = Recommender(bundle_of("ItemKNN")).recommend(USER, 10)
    assert expected is not None
    assert [one["item_id"] for one in got["items"]] == [str(one.item_id) for one in expected.items]
    assert metric(client, 'reload_total{result="loaded"}') == 2
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("model_info{")]
    assert lines == ['model_info{algorithm="ItemKNN",name="recommender",role="champion",version="2"} 1.0']
    registry.aliases["champion"] = "1"  # rolled back
    _look(client)
    assert client.get(LIST).json()["model"]["version"] == "1"


def test_the_thread_follows_by_itself(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start(poll_seconds=0.05)
    registry.add(bundle_of("ItemKNN"), "champion")
    wait_until(lambda: client.get(LIST).json()["model"]["version"] == "2")


def test_nothing_is_fetched_twice(registry: Registry, client: TestClient) -> None:
    for _ in range(3):
        _look(client)
    assert registry.fetched == ["1"]


def test_answers_go_on_while_a_version_is_swapped(registry: Registry, client: TestClient) -> None:
    seen: list[tuple[str, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            got = client.get(LIST).json()
            seen.append((got["model"]["version"], got["items"][0]["item_id"]))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        registry.add(bundle_of("ItemKNN"), "champion")
        _look(client)
        wait_until(lambda: bool(seen) and seen[-1][0] == "2")
    finally:
        stop.set()
        asking.join()
    first = {"1": bundle_of(), "2": bundle_of("ItemKNN")}
    for version, item in set(seen):
        answer = Recommender(first[version]).recommend(USER, 1)
        assert answer is not None
        assert item == str(answer.items[0].item_id), "an answer names the model it came from"


def _other_lists(registry: Registry) -> None:
    registry.add(bundle_of("ItemKNN"), "champion", smoke={USER: ["no", "such", "list"]})


def _not_finite(registry: Registry) -> None:
    bundle = bundle_of("PureSVD")
    registry.add(bundle, "champion")
    broken = bundle_of("PureSVD", n_factors=3)
    factors = np.full_like(broken.algorithm.item_factors_, np.nan)  # type: ignore[attr-defined]
    algorithm = broken.algorithm
    algorithm.item_factors_ = factors  # type: ignore[attr-defined]
    registry.aliases["champion"] = _saved_without_a_trial(registry, replace(broken, algorithm=algorithm))


def _saved_without_a_trial(registry: Registry, bundle: Any) -> str:
    from recsys_lab.serving.bundle import save_bundle

    number = str(1 + sum(path.is_dir() for path in registry.folder.iterdir()))
    smoke = {USER: [str(item) for item in bundle.item_ids[:10]]}
    save_bundle(bundle, registry.folder / number, {"run_id": "r"}, smoke)
    return number


def _changed_file(registry: Registry) -> None:
    number = registry.add(bundle_of("ItemKNN"), "champion")
    with next((registry.folder / number / "state").glob("*.npz")).open("ab") as stream:
        stream.write(b"x")


def _missing_file(registry: Registry) -> None:
    number = registry.add(bundle_of("ItemKNN"), "champion")
    (registry.folder / number / "manifest.json").unlink()


@pytest.mark.parametrize("breaks", [_other_lists, _not_finite, _changed_file, _missing_file])
def test_a_broken_version_is_never_swapped_in(registry: Registry, client: TestClient, breaks: Any) -> None:
    breaks(registry)
    broken = registry.aliases["champion"]
    for _ in range(3):
        _look(client)
    assert client.get(LIST).json()["model"]["version"] == "1"
    assert client.get("/readyz").json()["stale"] is True
    assert metric(client, 'reload_total{result="rejected"}') == 1
    assert registry.fetched.count(broken) == 1, "it is not tried again until the version changes"
    registry.add(bundle_of("ItemKNN"), "champion")
    _look(client)
    assert client.get(LIST).json()["model"]["version"] == registry.aliases["champion"]
    assert client.get("/readyz").json()["stale"] is False


def test_a_registry_that_is_down_while_running(registry: Registry, client: TestClient) -> None:
    registry.down = True
    _look(client)
    assert client.get(LIST).status_code == 200
    assert client.get("/readyz").json() == {"status": "ready", "version": "1", "stale": True}
    assert metric(client, 'model_stale{role="champion"}') == 1
    assert metric(client, 'reload_total{result="failed"}') >= 1
    registry.down = False
    _look(client)
    assert client.get("/v1/model").json()["stale"] is False
    assert metric(client, 'model_stale{role="champion"}') == 0


def test_a_registry_that_is_down_at_the_start(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    before = start().get(LIST).json()["items"]
    registry.down = True
    client = start()
    assert client.get(LIST).json()["items"] == before
    assert client.get("/readyz").json()["stale"] is True
    registry.down = False
    registry.add(bundle_of("ItemKNN"), "champion")
    _look(client)
    assert client.get("/readyz").json() == {"status": "ready", "version": "2", "stale": False}


def test_a_broken_version_at_the_start_leaves_the_last_good_one(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    start()
    _other_lists(registry)
    client = start()
    assert client.get("/readyz").json() == {"status": "ready", "version": "1", "stale": True}


@pytest.mark.parametrize("damage", ["pointer", "file", "another model"])
def test_a_copy_that_cannot_be_used_leaves_the_service_unready(
    registry: Registry, start: Start, tmp_path: Path, damage: str
) -> None:
    registry.add(bundle_of(), "champion")
    start()
    registry.down = True
    if damage == "pointer":
        (tmp_path / "bundles" / "champion.json").write_text("{")
    elif damage == "file":
        next((tmp_path / "bundles" / "champion").rglob("state.json")).write_text("{}")
    client = start(ready=False, model="another" if damage == "another model" else "recommender")
    _look(client)
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_a_pinned_version(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    registry.add(bundle_of("ItemKNN"), "champion")
    client = start(model_version="1")
    assert client.get("/v1/model").json()["version"] == "1"
    asked = registry.asked
    registry.down = True
    _look(client)
    assert client.get("/readyz").json()["stale"] is False, "a number cannot move"
    assert registry.asked == asked + 1, "only the challenger's alias is watched"
    again = start(model_version="1")
    assert again.get("/readyz").json() == {"status": "ready", "version": "1", "stale": False}


def test_only_the_copy_in_use_is_kept(
    registry: Registry, client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "FRESH", 0.0)
    for _ in range(2):
        registry.add(bundle_of("ItemKNN"), "champion")
        _look(client)
    assert len(list((tmp_path / "bundles" / "champion").iterdir())) == 1


def test_a_challenger_comes_and_goes(registry: Registry, client: TestClient, tmp_path: Path) -> None:
    assert client.get(f"{LIST}?model=challenger").status_code == 404
    registry.add(bundle_of("ItemKNN"), "challenger")
    _look(client)
    got = client.get(f"{LIST}?model=challenger").json()
    assert got["model"]["algorithm"] == "ItemKNN"
    assert got["model"]["role"] == "challenger"
    assert client.get(LIST).json()["model"]["role"] == "champion"
    assert client.get("/v1/model").json()["challenger"]["version"] == "2"
    del registry.aliases["challenger"]
    _look(client)
    assert client.get(f"{LIST}?model=challenger").status_code == 404
    assert not (tmp_path / "bundles" / "challenger.json").exists()


def test_an_alias_that_is_gone_leaves_the_champion(registry: Registry, client: TestClient) -> None:
    registry.aliases.clear()
    _look(client)
    assert client.get(LIST).status_code == 200
    assert client.get("/readyz").json()["stale"] is True


def test_a_version_that_cannot_be_fetched_is_tried_again(
    registry: Registry, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("no space left")

    registry.add(bundle_of("ItemKNN"), "champion")
    with monkeypatch.context() as patch:
        patch.setattr(model_store, "fetch_bundle", fails)
        _look(client)
    assert client.get(LIST).json()["model"]["version"] == "1"
    _look(client)
    assert client.get(LIST).json()["model"]["version"] == "2"


def test_creating_an_app_touches_nothing(registry: Registry, tmp_path: Path) -> None:
    create_app(settings_in(tmp_path))
    assert registry.asked == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry"]


def test_a_model_whose_package_is_not_here_says_which(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    number = registry.add(bundle_of("RankingNMF"))
    version = registry.version_of("", "recommender", number)
    assert version is not None
    open_model("champion", version, registry.folder / number, ())
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)  # as in an image without scikit-learn
    with pytest.raises(ImportError, match=r"needs the package sklearn.*EXTRAS"):
        open_model("champion", version, registry.folder / number, ())
