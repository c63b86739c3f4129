"""What each command does: load, call, print."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from recsys_lab import tracking
from recsys_lab.cli.checks import do_check
from recsys_lab.cli.lists import do_algorithms, do_datasets, do_metrics
from recsys_lab.cli.simulation import do_simulate
from recsys_lab.cli.verification import do_diff, do_rescore, do_verify
from recsys_lab.experiment import Experiment, load_experiment

__all__ = [
    "do_across",
    "do_algorithms",
    "do_check",
    "do_datasets",
    "do_diff",
    "do_docs",
    "do_doctor",
    "do_leaderboard",
    "do_metrics",
    "do_notebook",
    "do_published",
    "do_rescore",
    "do_run",
    "do_simulate",
    "do_ui",
    "do_verify",
    "do_warmup",
]


def do_run(given: Namespace) -> int:
    """Run an experiment and print its leaderboard."""
    from recsys_lab.runner import dry_run, run_experiment

    overrides = [*given.overrides, *([f"seeds={given.seeds}"] if given.seeds else [])]
    experiment = load_experiment(given.file, overrides)
    if given.dry_run:
        print(dry_run(experiment, only=given.only))
        return 0
    report = run_experiment(experiment, only=given.only, jobs=given.jobs, changed=bool(overrides))
    try:
        _show_leaderboard(experiment, report.leaderboard.run if report.leaderboard else None)
    except LookupError as error:
        print(f"\nNo leaderboard: {error}")
    if report.failures:
        print(f"\n{len(report.failures)} failed:", file=sys.stderr)
        for line in report.failures:
            print(f"  {line}", file=sys.stderr)
        print("Run the same command again to retry only these; what is finished is kept.", file=sys.stderr)
    return report.exit_code


def do_leaderboard(given: Namespace) -> int:
    """Rank what is finished."""
    experiment = load_experiment(given.file, given.overrides)
    if given.format == "terminal":
        _show_leaderboard(experiment, None)
        return 0
    from recsys_lab.leaderboard import build

    board = build(experiment)
    print(board.to_markdown() if given.format == "markdown" else board.to_latex())
    return 0


def do_across(given: Namespace) -> int:
    """Rank models over the data sets of several experiments."""
    from recsys_lab.leaderboard import across

    found = across.build_across(given.files, split=given.split)
    files = across.write(found)
    print(across.to_markdown(found))
    print(f"Picture   {os.path.relpath(next(file for file in files if file.suffix == '.svg'))}")
    print(f"Table     {os.path.relpath(next(file for file in files if file.suffix == '.csv'))}")
    return 0


def _show_leaderboard(experiment: Experiment, run: tracking.Run | None) -> None:
    from recsys_lab.leaderboard import build
    from recsys_lab.leaderboard.cards import folder_of

    board = build(experiment)
    reading = _another_reading(experiment)
    files = board.write(tracking.home() / "outputs" / experiment.name / reading)
    print(f"\n{board.to_terminal()}")
    if not reading:
        tracking.describe_experiment(experiment.name, f"**{experiment.question}**\n\n{board.to_markdown(links=False)}")
    if run is not None:
        for file in files:
            tracking.log_file(run, file, folder_of(file))
        tracking.log(run, tags={"mlflow.note.content": board.to_markdown(links=False)[:8000]})
    print(f"Report    {os.path.relpath(files[0])}")
    print(f"Notebooks {os.path.relpath(tracking.home() / 'outputs' / experiment.name)}{os.sep}*.html")
    print(f"MLflow    {_link(experiment, 'http://127.0.0.1:5000')}")
    if tracking.tracking_uri().startswith("sqlite:") and experiment.path:
        print(f"          (start it with: make ui, or recsys-lab ui {shlex.quote(os.path.relpath(experiment.path))})")


def _another_reading(experiment: Experiment) -> str:
    """The folder of a leaderboard by another metric than the file's primary ("by_recall_at_10"); "" for its own."""
    primary = experiment.evaluation.primary
    if not experiment.path or primary == load_experiment(experiment.path).evaluation.primary:
        return ""
    return "by_" + tracking.metric_key(primary).rpartition("/")[2]


def _link(experiment: Experiment, base: str) -> str:
    uri = tracking.tracking_uri()
    found = tracking.experiment_id(experiment.name)
    base = uri.rstrip("/") if uri.startswith("http") else base
    return tracking.page(found, experiment.evaluation.primary, base) if found else base


def do_ui(given: Namespace) -> int:
    """Print the link of the comparison and serve MLflow with small settings until Ctrl-C."""
    base = f"http://{given.host}:{given.port}"
    if given.file is not None:
        experiment = load_experiment(given.file)
        if tracking.experiment_id(experiment.name) is None:
            print(f"{experiment.name} has no runs yet; run it first: recsys-lab run {given.file}")
        print(f"Open {_link(experiment, base)}", flush=True)
    else:
        print(f"Open {base}", flush=True)
    uri = tracking.tracking_uri()
    if given.print_only or uri.startswith("http"):
        return 0
    tracking.init_store("recsys_lab") if not tracking.store_exists() else None
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    options = ["--backend-store-uri", uri, "--host", given.host, "--port", str(given.port), "--workers", "1"]
    server = subprocess.Popen([sys.executable, "-m", "mlflow", "server", *options], env=environment)
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return 0


def do_published(given: Namespace) -> int:
    """Run the experiments with published numbers and compare."""
    from recsys_lab.trials import check_published, published_files

    failed = False
    for file in published_files(given.name, slow=given.slow):
        for row in check_published(load_experiment(file), log=not given.no_log, say=print):
            failed = failed or not row.passed
    print("some numbers did not come out" if failed else "all numbers came out")
    return 1 if failed else 0


def do_notebook(given: Namespace) -> int:
    """Execute one notebook."""
    from recsys_lab.runner import run_notebook

    pairs = [text.partition("=") for text in given.parameter]
    for name, equals, _ in pairs:
        if not equals:
            raise ValueError(f"-p {name}: right would be -p name=value")
    outcome = run_notebook(given.name, {name: value for name, _, value in pairs})
    print(f"Wrote {os.path.relpath(outcome.job.output)} and {outcome.job.output.with_suffix('.html').name}")
    return 1 if outcome.status == "failed" else 0


def do_doctor(given: Namespace) -> int:
    """Check the installation."""
    from recsys_lab.doctor import examine

    findings = examine(fix=given.fix)
    for finding in findings:
        print(finding)
    return 1 if any(finding.level == "problem" for finding in findings) else 0


def do_warmup(given: Namespace) -> int:
    """Run every algorithm once on a small data set, so that compiled loops are in the cache."""
    from recsys_lab.doctor import warm_up

    print(warm_up())
    return 0


def do_docs(given: Namespace) -> int:
    """Write the generated parts of README and docs."""
    from recsys_lab.cli.serving import write_routes
    from recsys_lab.docs import update

    root = Path(__file__).resolve().parents[2]
    changed = [path.relative_to(root).as_posix() for path in [*write_routes(root), *update(root)]]
    print(f"brought up to date: {', '.join(changed)}" if changed else "everything was up to date")
    return 0
