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

if TYPE_CHECKING:
    from recsys_lab.serving.settings import Settings

SERVING = ("promote", "rollback", "serve", "export-feedback", "judge")  # the commands of this file
NEEDED = ("RECSYS_LAB_REGISTRY_URI", "RECSYS_LAB_BUNDLE_DIR")  # without defaults of their own
ROOT = Path(__file__).resolve().parents[2]


def add_serving_commands(commands: Any) -> None:
    """promote, rollback, serve, export-feedback and judge."""
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
    export = commands.add_parser("export-feedback", help="write feedback as a table for the next experiment")
    export.add_argument("--output", type=Path, required=True, metavar="FILE.parquet")
    export.add_argument("--events", default="view,click,like,dislike", help="only these, with commas between")
    judge = commands.add_parser("judge", help="champion against challenger, by what people did with their lists")
    design = judge.add_mutually_exclusive_group()
    design.add_argument("--share", type=float, help="of the users with the challenger (default: RECSYS_LAB_AB_SHARE)")
    design.add_argument("--shadow", action="store_true", help="lists in the shadow, by what was done with those shown")
    judge.add_argument("--champion", default="", metavar="VERSION", help="default: the one that answered at that time")
    judge.add_argument("--challenger", default="", metavar="VERSION", help="default: the last one that answered")
    judge.add_argument("--since", metavar="TIME", help="2026-11-01, 2026-11-01T12:00, or 7d, 12h before now (UTC)")
    judge.add_argument("--until", metavar="TIME", help="the same; default: the last list of the two")
    judge.add_argument("--min-effect", type=float, default=0.01, help="smallest change that matters (default: 0.01)")
    judge.add_argument("--output", type=Path, metavar="FILE", help="also write .json, or the table as .csv")


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
    settings, is_local = _settings({"RECSYS_LAB_HOST": given.host, "RECSYS_LAB_PORT": given.port})
    from recsys_lab.serving.run import require_address, serve

    require_address(settings.host, settings.port)
    if is_local:
        _promote_first(settings)
    return serve(settings, open_page=given.open)


def do_export_feedback(given: Namespace) -> int:
    """Write the feedback table."""
    from recsys_lab.serving.export import export_feedback

    settings, _ = _settings({})
    n_rows = export_feedback(settings.database_url, given.output, [name.strip() for name in given.events.split(",")])
    print(f"Wrote {n_rows:,} rows to {given.output}; in an experiment: dataset: {{path: {given.output}}}")
    return 0


def do_judge(given: Namespace) -> int:
    """Judge; 1 when users did not reach the two arms as they were drawn."""
    from recsys_lab.judgement import judge_shadow, judge_split, report
    from recsys_lab.judgement.times import seconds_of
    from recsys_lab.serving.storage import Database

    if given.output is not None:
        report.check_ending(given.output)
    settings, _ = _settings({})
    options = {name: getattr(given, name) for name in ("champion", "challenger", "min_effect")}
    options |= {name: seconds_of(getattr(given, name)) for name in ("since", "until") if getattr(given, name)}
    share = settings.ab_share if given.share is None else given.share
    database = Database(settings.database_url)
    try:
        if given.shadow or (given.share is None and settings.shadow and not settings.ab_share):
            found = judge_shadow(database, **options)
        else:
            found = judge_split(database, share, **options)
    finally:
        database.close()
    print(report.to_terminal(found), end="")
    if given.output is not None:
        report.write(found, given.output)
        print(f"Wrote {given.output}")
    return 0 if found.valid else 1


def _settings(changes: dict[str, str | None]) -> tuple[Settings, bool]:
    """The settings of this environment, and whether the registry is the lab's own database."""
    from recsys_lab.serving.settings import Settings

    environ = {**os.environ, **{name: value for name, value in changes.items() if value}}
    defaults: dict[str, str] = {}
    if not all(environ.get(name) for name in NEEDED):
        from recsys_lab import tracking

        defaults = dict(zip(NEEDED, (tracking.tracking_uri(), str(tracking.home() / "serving")), strict=True))
    settings = Settings.from_environment(environ, defaults)
    return settings, not environ.get(NEEDED[0]) and settings.registry_uri.startswith("sqlite:")


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
