"""Models that change while the service runs: what is swapped in, what never is, and a registry that is down."""

from __future__ import annotations

import copy
import sys
import threading
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recsys_lab.serving import copies, model_store
from recsys_lab.serving.app import create_app
from recsys_lab.serving.bundle import Bundle
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.models import open_model
from recsys_lab.serving.recommender import Recommender
from tests.serving.apps import Registry, Start, app_of, bundle_of, metric, settings_in, trial_of, wait_until

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


def test_two_looks_at_once_load_a_version_once(registry: Registry, client: TestClient) -> None:
    registry.add(bundle_of("ItemKNN"), "champion")
    looks = [threading.Thread(target=_look, args=(client,)) for _ in range(4)]
    for look in looks:
        look.start()
    for look in looks:
        look.join()
    assert registry.fetched == ["1", "2"]
    assert metric(client, 'reload_total{result="loaded"}') == 2


def test_the_status_of_a_registry_that_refuses_is_logged(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*given: Any) -> None:
        raise HTTPError("http://registry/?token=secret", 401, "UNAUTHORIZED", Message(), None)

    monkeypatch.setattr(model_store, "version_of", refuse)
    _look(client)
    said = [record.fields for record in caplog.records if record.message == "the registry does not answer"]  # type: ignore[attr-defined]
    assert said == [{"role": role, "reason": "HTTPError 401"} for role in ("champion", "challenger")]


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
    """Of the last user of the trial."""
    bundle = bundle_of("ItemKNN")
    trial = copy.deepcopy(trial_of(bundle))
    trial[-1]["items"].reverse()
    registry.add(bundle, "champion", trial=trial)


def _no_trial(registry: Registry) -> None:
    registry.add(bundle_of("ItemKNN"), "champion", trial=[])


def _trial_of_one(registry: Registry) -> None:
    bundle = bundle_of("ItemKNN")
    registry.add(bundle, "champion", trial=trial_of(bundle)[:1])


def _broken(registry: Registry, bundle: Bundle) -> None:
    """With the lists of the sound one, as if only other users were hit."""
    registry.add(bundle, "champion", trial=trial_of(bundle_of("BPR", n_factors=3)))


def _not_finite(registry: Registry) -> None:
    """For all but the users that a trial looked at before: the first three."""
    bundle = bundle_of("BPR", n_factors=3)
    algorithm = copy.copy(bundle.algorithm)
    algorithm.user_factors_ = algorithm.user_factors_.copy()  # type: ignore[attr-defined]
    algorithm.user_factors_[3:] = np.nan  # type: ignore[attr-defined]
    _broken(registry, replace(bundle, algorithm=algorithm))


def _too_few_titles(registry: Registry) -> None:
    bundle = bundle_of("BPR", n_factors=3)
    _broken(registry, replace(bundle, titles=bundle.titles[:3]))


def _one_user_twice(registry: Registry) -> None:
    bundle = bundle_of("BPR", n_factors=3)
    _broken(registry, replace(bundle, user_ids=[*bundle.user_ids[:-1], str(bundle.user_ids[0])]))


def _a_candidate_that_is_no_item(registry: Registry) -> None:
    bundle = bundle_of("BPR", n_factors=3)
    _broken(registry, replace(bundle, candidates=np.append(bundle.candidates, bundle.n_items).astype(np.int32)))


def _claims_to_fold_in(registry: Registry) -> None:
    number = registry.add(bundle_of("BPR", n_factors=3), "champion")
    file = registry.folder / number / "manifest.json"
    file.write_text(file.read_text().replace('"folds_in": false', '"folds_in": true'))


def _changed_file(registry: Registry) -> None:
    number = registry.add(bundle_of("ItemKNN"), "champion")
    with next((registry.folder / number / "state").glob("*.npz")).open("ab") as stream:
        stream.write(b"x")


def _missing_file(registry: Registry) -> None:
    number = registry.add(bundle_of("ItemKNN"), "champion")
    (registry.folder / number / "manifest.json").unlink()


@pytest.mark.parametrize(
    "breaks",
    [
        _other_lists,
        _no_trial,
        _trial_of_one,
        _not_finite,
        _too_few_titles,
        _one_user_twice,
        _a_candidate_that_is_no_item,
        _claims_to_fold_in,
        _changed_file,
        _missing_file,
    ],
)
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


@pytest.mark.parametrize("damage", ["version", "file", "another model"])
def test_a_copy_that_cannot_be_used_leaves_the_service_unready(
    registry: Registry, start: Start, tmp_path: Path, damage: str
) -> None:
    registry.add(bundle_of(), "champion")
    start()
    registry.down = True
    if damage == "version":
        next((tmp_path / "bundles" / "champion").rglob("version.json")).write_text("{")
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


@pytest.mark.parametrize("damage", ["torn version", "no version", "changed file", "no file", "nothing"])
def test_without_a_registry_the_last_copy_that_is_whole_answers(
    registry: Registry, client: TestClient, start: Start, tmp_path: Path, damage: str
) -> None:
    registry.add(bundle_of("ItemKNN"), "champion")
    _look(client)
    last = max((tmp_path / "bundles" / "champion").iterdir(), key=lambda place: place.name.rpartition("-")[2])
    if damage == "torn version":
        (last / "version.json").write_bytes((last / "version.json").read_bytes()[:20])
    elif damage == "no version":
        (last / "version.json").unlink()
    elif damage == "changed file":
        (last / "state" / "arrays.npz").write_bytes(b"\x00" * 1000)
    elif damage == "no file":
        (last / "manifest.json").unlink()
    registry.down = True
    expected = "2" if damage == "nothing" else "1"
    assert start().get("/readyz").json() == {"status": "ready", "version": expected, "stale": True}


def test_a_minute_of_promotions_leaves_a_few_copies(registry: Registry, client: TestClient, tmp_path: Path) -> None:
    for number in range(12):
        registry.add(bundle_of("ItemKNN" if number % 2 else "EASE"), "champion")
        _look(client)
    versions = [version.number for _, version in app_of(client).state.watcher.copies.good("champion")]
    assert versions == ["13", "12", "11"]
    assert len(list((tmp_path / "bundles" / "champion").iterdir())) == 3


def test_what_a_crash_left_is_removed_later(
    registry: Registry, client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "bundles" / "champion" / "9-18ec4f3b3021666"
    (left / "state").mkdir(parents=True)
    registry.add(bundle_of("ItemKNN"), "champion")
    _look(client)
    assert left.is_dir(), "another process may be loading it"
    monkeypatch.setattr(copies, "FRESH", 0.0)
    registry.add(bundle_of("EASE"), "champion")
    _look(client)
    assert not left.exists()


@pytest.mark.parametrize("number", ["x", "../../7", "", "7 8"])
def test_a_registry_that_answers_nonsense_leaves_the_champion_and_says_stale(
    registry: Registry, client: TestClient, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setattr(model_store, "version_of", lambda *_: Version("recommender", number, "", "here", {}))
    _look(client)
    assert client.get(LIST).status_code == 200
    assert client.get("/readyz").json()["stale"] is True
    assert metric(client, 'reload_total{result="failed"}') >= 2  # for each alias


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


@pytest.mark.parametrize(
    ("name", "missing", "package"),
    [("RankingNMF", "sklearn.decomposition", "sklearn"), ("CoClustering", "surprise", "surprise")],
)  # the first when it answers, the second when it is imported
def test_a_model_whose_package_is_not_here_says_which(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, name: str, missing: str, package: str
) -> None:
    number = registry.add(bundle_of(name))
    version = registry.version_of("", "recommender", number)
    assert version is not None
    open_model("champion", version, registry.folder / number, ())
    monkeypatch.setitem(sys.modules, missing, None)  # as in an image without it
    monkeypatch.delitem(sys.modules, "recsys_lab.algorithms.surprise_models", raising=False)
    with pytest.raises(ImportError, match=rf"needs the package {package}.*EXTRAS"):
        open_model("champion", version, registry.folder / number, ())
