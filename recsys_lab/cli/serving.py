"""The commands around a served model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys_lab.cli.settings import read_settings

if TYPE_CHECKING:
    from recsys_lab.serving.settings import Settings

SERVING = ("promote", "rollback", "serve")  # the commands of this file
ROOT = Path(__file__).resolve().parents[2]


def add_serving_commands(commands: Any) -> None:
    """promote, rollback and serve."""
    promote = commands.add_parser("promote", help="register the winner of an experiment and point an alias at it")
    promote.add_argument("file", help="experiment file (YAML), finished")
    promote.add_argument("--run", default="", help="a run id, its beginning, a model of the leaderboard, or second")
    promote.add_argument("--alias", choices=["champion", "challenger"], default="champion")
    promote.add_argument("--name", default=None, help="registered model (default: recommender)")
    promote.add_argument("--split", type=int, default=0, help="which split's leaderboard decides")
    promote.add_argument("--all-data", action="store_true", help="fit on all rows after the comparison")
    rollback = commands.add_parser("rollback", help="point an alias at the version it had before")
    rollback.add_argument("--alias", choices=["champion", "challenger"], default="champion")
    rollback.add_argument("--name", default=None, help="registered model (default: recommender)")
    serve = commands.add_parser(
        "serve", help="serve the champion: API, page, metrics; promotes the quickstart at first"
    )
    serve.add_argument("--host", default=None, help="default: RECSYS_LAB_HOST, or 127.0.0.1")
    serve.add_argument("--port", default=None, help="default: RECSYS_LAB_PORT, or 8000")
    serve.add_argument("--open", action="store_true", help="open the page in a browser")


def do_promote(given: Namespace) -> int:
    """Promote the winner, or the named run."""
    from recsys_lab.experiment import load_experiment
    from recsys_lab.promotion import MODEL_NAME, promote

    promote(
        load_experiment(given.file),
        run=given.run,
        alias=given.alias,
        name=given.name or MODEL_NAME,
        split=given.split,
        all_data=given.all_data,
    )
    return 0


def do_rollback(given: Namespace) -> int:
    """Undo the last promotion to an alias."""
    from recsys_lab.promotion import MODEL_NAME, roll_back

    name = given.name or MODEL_NAME
    now, before = roll_back(alias=given.alias, name=name)
    print(f"{name}: the {given.alias} is version {before} again (was version {now})")
    return 0


def do_serve(given: Namespace) -> int:
    """Serve until Ctrl-C. In a checkout without a registry of its own, the quickstart is promoted first."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # one request is too small to share: two BLAS threads made it 7 times slower
    settings, is_local = read_settings({"RECSYS_LAB_HOST": given.host, "RECSYS_LAB_PORT": given.port})
    from recsys_lab.serving.run import require_address, serve

    require_address(settings.host, settings.port)
    if is_local:
        _promote_first(settings)
    return serve(settings, open_page=given.open)


def _promote_first(settings: Settings) -> None:
    """Run the quickstart and promote its winner, with the best other algorithm beside it, unless there is a champion.

    The champion's alias moves last: stopped at any stage, the next start goes on where this one was.
    """
    wanted = settings.model_version or settings.alias
    if _has(settings, wanted):
        return
    experiment = ROOT / "experiments" / "quickstart.yaml"
    if wanted != "champion" or not experiment.is_file():
        print(
            f"recsys-lab serve: {settings.model} has no {wanted!r} yet; the answer is 503 until it has: "
            f"recsys-lab promote EXPERIMENT.yaml",
            file=sys.stderr,
        )
        return
    print(
        f"No champion yet: running {experiment.name} (what is finished is kept) and promoting its winner ...",
        flush=True,
    )
    promote = ["promote", str(experiment), "--name", settings.model, "--alias"]
    _typed("run", str(experiment))
    if not _has(settings, "challenger"):  # somebody may have promoted one already
        _typed(*promote, "challenger", "--run", "second")
    _typed(*promote, "champion")


def _has(settings: Settings, wanted: str) -> bool:
    """Whether the lab's registry has a version with this number or alias."""
    from recsys_lab import tracking
    from recsys_lab.serving import model_store

    return tracking.store_exists() and model_store.version_of(settings.registry_uri, settings.model, wanted) is not None


def _typed(*words: str) -> None:
    """Run a command of the lab as a process of its own: what it imports would stay in the memory of the service.

    It is no part of the terminal's group, so Ctrl-C and SIGTERM reach it once, from here, and it ends in order.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with _interrupts_wait():  # one between the start and the wait would leave nobody to end the command
            process = subprocess.Popen(
                [sys.executable, "-m", "recsys_lab", *words], stdin=subprocess.DEVNULL, process_group=0
            )
        code = process.wait()
    except KeyboardInterrupt:
        if process is not None:
            process.terminate()
            process.wait()
        raise
    if code:
        raise ValueError(f"`recsys-lab {' '.join(words)}` failed; what it says above has to be mended first")


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back, and raise KeyboardInterrupt for them at the end."""
    held: list[int] = []
    both = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(one, lambda number, _: held.append(number)) for one in both]
    try:
        yield
    finally:
        for one, handler in zip(both, before, strict=True):
            signal.signal(one, handler)
    if held:
        raise KeyboardInterrupt


def write_routes(root: Path) -> list[Path]:
    """Bring the table of routes in docs/serving.md up to date; the file, if it changed."""
    from recsys_lab.docs import replace_block
    from recsys_lab.serving.app import create_app
    from recsys_lab.serving.openapi import route_table
    from recsys_lab.serving.settings import Settings

    app = create_app(Settings(registry_uri="http://registry.invalid", bundle_dir=root, database_url="sqlite://"))
    page = root / "docs" / "serving.md"
    before = page.read_text(encoding="utf-8")
    after = replace_block(before, "routes", route_table(app))
    if after == before:
        return []
    page.write_text(after, encoding="utf-8")
    return [page]
