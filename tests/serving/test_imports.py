"""A replica imports what it serves with, and nothing of the lab: memory is paid for in every replica."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_lab.serving.copies import Copies
from recsys_lab.serving.model_store import Version
from tests.serving.apps import Registry, bundle_of

HEAVY = ["matplotlib", "mlflow", "pandas", "pyarrow", "scipy.stats", "sklearn", "torch"]
CHILD = """
import json, sys
from pathlib import Path
from recsys_lab.cli import main  # what `recsys-lab serve` starts with
from recsys_lab.serving.app import create_app
from recsys_lab.serving.run import serve
from recsys_lab.serving.settings import Settings

app = create_app(Settings(registry_uri=sys.argv[2], bundle_dir=Path(sys.argv[1]), database_url="sqlite://"))
app.state.watcher.check()
served = app.state.models.champion.recommender
for explain in (False, True):
    assert served.recommend(served.bundle.user_ids[3], 10, explain=explain).source == "model"
stale, heavy = app.state.models.stale["champion"], sorted(set(sys.argv[3:]) & set(sys.modules))
print(json.dumps({"stale": stale, "heavy": heavy}))
"""


def asked_alone(folder: Path, registry: str) -> dict[str, object]:
    """Whether a replica in a process of its own has a stale model, and which of ``HEAVY`` it imported."""
    command = [sys.executable, "-c", CHILD, str(folder), registry, *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", ["IALS", "ItemKNN", "PureSVD"])
def test_a_replica_imports_nothing_of_the_lab(name: str, registry: Registry, tmp_path: Path) -> None:
    version = Version("recommender", registry.add(bundle_of(name), "champion"), "run1", "here", {})
    copies = Copies(tmp_path / "bundles")
    copies.remember("champion", version, registry.fetch_bundle("", version, copies.place("champion", version)))
    assert asked_alone(tmp_path / "bundles", "http://127.0.0.1:9") == {"stale": True, "heavy": []}
