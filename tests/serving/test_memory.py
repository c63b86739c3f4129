"""What a replica gives back: nothing that it still needs, and no model that it has left."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from recsys_lab.serving.bundle import save_bundle
from recsys_lab.serving.memory import code
from tests.serving.apps import Registry, Start, app_of, bundle_of, wait_until

MAPS = """\
00400000-00452000 r-xp 00000000 08:02 173521 /usr/lib/libllvmlite.so
00651000-00652000 r--p 00051000 08:02 173521 /usr/lib/libllvmlite.so
00652000-00655000 rw-p 00052000 08:02 173521 /usr/lib/libllvmlite.so
00655000-00656000 rwxp 00052000 08:02 173521 /usr/lib/libllvmlite.so
00e03000-00e24000 r-xp 00000000 00:00 0 [heap]
35b1800000-35b1820000 r-xp 00000000 08:02 135522 /usr/lib/a file (deleted)
35b1a20000-35b1a21000 r-xs 0001f000 08:02 135522 /shared
7fff00000000-7fff00002000 r-xp 00000000 00:00 0 [vdso]
"""

CHILD = """
import sys
from pathlib import Path
from recsys_lab.serving.bundle import load_bundle
from recsys_lab.serving.memory import give_back
from recsys_lab.serving.recommender import Recommender

def of_files():
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssFile"))

served = Recommender(load_bundle(Path(sys.argv[1]))[0])
users = served.bundle.user_ids
before = [served.recommend(user, 10, explain=True) for user in users]
pages = of_files()
give_back()
assert of_files() < pages - 30_000, (of_files(), pages)  # kB; of LLVM alone 52 MB are code
assert [served.recommend(user, 10, explain=True) for user in users] == before
give_back()
print("done")
"""


def test_only_code_of_files_is_given_back() -> None:
    assert list(code(MAPS)) == [(0x400000, 0x452000), (0x35B1800000, 0x35B1820000)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="done on Linux only")
def test_lists_are_the_same_after_memory_was_given_back(tmp_path: Path) -> None:
    save_bundle(bundle_of("IALS"), tmp_path / "bundle", {}, [])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "bundle")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


def test_a_model_that_was_replaced_is_gone_when_memory_is_given_back(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start()
    state = app_of(client).state
    assert client.get("/v1/items?q=a").status_code == 200  # searches keep what they look at beside the model
    old = weakref.ref(state.models.champion)
    assert not state.watcher.check()
    gc.collect()
    assert old() is not None
    registry.add(bundle_of("ItemKNN"), "champion")
    assert state.watcher.check()
    gc.collect()
    assert old() is None


def test_memory_is_given_back_after_every_load(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    client = start(ready=False, poll_seconds=0.05)
    calls: list[str] = []
    watcher, models = app_of(client).state.watcher, app_of(client).state.models
    watcher.after_loading = lambda: calls.append(models.champion.version.number)
    wait_until(lambda: models.champion is not None)
    registry.add(bundle_of("ItemKNN"), "champion")
    wait_until(lambda: calls[-1:] == ["2"])
    assert calls in (["2"], ["1", "2"])  # the first load may be over before the test listens
