"""The description holds: what follows from it, or breaks it, gets an answer it names. More in make test-service."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.serving.model_store import Version
from recsys_lab.serving.models import Loaded
from recsys_lab.serving.recommender import Recommender
from tests.serving.apps import bundle_of
from tests.serving.described import app_to_describe, examples, without_lifespan

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: make setup-dev")


APP = app_to_describe(Path(tempfile.gettempdir()) / f"recsys_lab_{uuid.uuid4().hex}")  # made at the first write
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", without_lifespan(APP))


@pytest.fixture(scope="module", autouse=True)
def _models() -> Iterator[None]:
    """Both models answer while the tests of this file run."""
    for role, name in (("champion", "EASE"), ("challenger", "BPR")):
        manifest = {"algorithm": name, "folds_in": name == "EASE"}
        version = Version("recommender", "1", "r", "s", {})
        APP.state.models.swap(Loaded(role, version, Recommender(bundle_of(name)), manifest, 0.0))  # type: ignore[arg-type]
    APP.state.feedback.start()
    yield
    APP.state.service.close()
    APP.state.feedback.close()
    shutil.rmtree(APP.state.settings.bundle_dir.parent, ignore_errors=True)


@SCHEMA.parametrize()
@examples(25)
def test_every_answer_is_described(case: Any) -> None:
    case.call_and_validate()
