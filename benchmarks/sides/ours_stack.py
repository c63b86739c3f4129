"""recsys_lab around the models: loading, splitting, importing, tracking."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import Inputs, Job
from recsys_lab.data.datasets import load_dataset
from recsys_lab.data.files import read_interactions
from recsys_lab.splits import split

IMPORT = """
import time
start = time.perf_counter()
import recsys_lab
seconds = time.perf_counter() - start
import psutil
print(seconds, psutil.Process().memory_info().rss / 2**20)
"""


def load(inputs: Inputs) -> Job:
    """The published files into an empty cache, then again from the cache; without such files a CSV, both times."""
    name = inputs.settings["ranking"]
    cache = Path(tempfile.mkdtemp(prefix="bench_cache_"))
    published = not name.startswith("synthetic-")
    if published:
        os.environ["RECSYS_LAB_CACHE"] = str(cache)
    else:
        load_dataset(name).to_frame().to_csv(cache / "rows.csv", index=False)
    state: dict[str, Any] = {}

    def prepared() -> None:
        state["data"] = load_dataset(name) if published else read_interactions(cache / "rows.csv")

    def first() -> None:
        if published:
            shutil.rmtree(cache)
        prepared()

    def rows() -> dict[str, Any]:
        shutil.rmtree(cache)
        return {"values": np.array([len(state["data"])])}

    return Job({"first": first, "prepared": prepared}, rows)


def cut(inputs: Inputs) -> Job:
    """Ten test rows a user, with the card and its hashes."""
    name = inputs.settings["ranking"]
    state: dict[str, Any] = {"data": load_dataset(name)}

    def divide() -> None:
        state["parts"] = split(state["data"], "random_user", test=10, seed=42)

    return Job({"split": divide}, lambda: {"values": np.array([len(state["parts"].test)])})


def importing(inputs: Inputs) -> Job:
    """A fresh process; its own clock and memory."""

    def start() -> dict[str, float]:
        done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        seconds, megabytes = map(float, done.stdout.split())
        return {"s": seconds, "mb": megabytes}

    return Job({"import": start}, lambda: {"values": np.zeros(1)})


def tracking(inputs: Inputs) -> Job:
    """One run on sqlite: 10 parameters, 30 metrics, 5 artifacts."""
    folder = Path(tempfile.mkdtemp(prefix="bench_store_"))
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    from recsys_lab import tracking as store

    store.init_store("bench")
    artifacts = folder / "files"
    artifacts.mkdir()
    for number in range(5):
        (artifacts / f"{number}.json").write_text("{}")

    def record() -> None:
        run = store.start_run("bench", "run", {"kind": "bench"})
        metrics = {f"metric_{n}": n / 30 for n in range(30)}
        store.log(run, metrics=metrics, params={f"parameter_{n}": n for n in range(10)})
        store.log_files(run, artifacts)
        store.finish(run, "FINISHED")

    def runs() -> dict[str, Any]:
        found = len(store.find_runs("bench"))
        shutil.rmtree(folder)
        return {"values": np.array([found])}

    return Job({"run": record}, runs)


JOBS = {"load": load, "split": cut, "import": importing, "tracking": tracking}
