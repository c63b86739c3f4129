"""The description holds for a running replica with a key: many requests of each route, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.serving.bundle import save_bundle
from recsys_lab.serving.copies import Copies
from recsys_lab.serving.model_store import Version
from tests.service.parts import KEY, Replica, wait_for
from tests.serving.apps import bundle_of, trial_of
from tests.serving.described import app_to_describe, examples

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: make setup-dev")
pytestmark = pytest.mark.service


def _keep(folder: Path, role: Any, name: str) -> None:
    """A copy of a version as a replica leaves it on its disk."""
    copies, version = Copies(folder / "bundles"), Version("recommender", "1", "run", "here", {})
    place = copies.place(role, version)
    place.parent.mkdir(parents=True)
    save_bundle(bundle_of(name), place, {"label": name, "metrics": {}}, trial_of(bundle_of(name)))
    copies.remember(role, version, place)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a replica that started from its disk."""
    folder = tmp_path_factory.mktemp("described") / "replica"
    environ = {"RECSYS_LAB_REGISTRY_URI": "http://127.0.0.1:9", "RECSYS_LAB_API_KEY": KEY}
    replica = Replica(folder, environ | {"RECSYS_LAB_DATABASE_URL": f"sqlite:///{folder}.db"})
    for role, name in (("champion", "EASE"), ("challenger", "BPR")):
        _keep(folder, role, name)
    replica.start()
    try:
        wait_for(replica.is_ready, "the replica")
        yield replica.url
        assert '"traceback"' not in replica.log.read_text()
    finally:
        replica.end()


SCHEMA = schemathesis.openapi.from_dict(app_to_describe(Path()).openapi())


@SCHEMA.parametrize()
@examples(300)
def test_every_answer_is_described(case: Any, address: str) -> None:
    case.call_and_validate(base_url=address, headers={"X-API-Key": KEY})
