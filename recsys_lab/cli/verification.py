"""The commands that look at finished runs: verify, rescore, diff."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any


def add_verification_commands(commands: Any) -> None:
    """The parsers of the commands of this file."""
    verify = commands.add_parser("verify", help="run a finished run again, from MLflow alone: does it come out?")
    verify.add_argument("run", nargs="*", metavar="RUN", help="run id, its beginning, or EXPERIMENT:LABEL")
    verify.add_argument("--all", metavar="EXPERIMENT.yaml", help="every finished run of an experiment")
    verify.add_argument("--json", action="store_true", help="a JSON list instead of the report")
    again = commands.add_parser("rescore", help="measure the stored lists of a run again, without training")
    again.add_argument("run", metavar="RUN", help="run id, its beginning, or EXPERIMENT:LABEL")
    again.add_argument("--metrics", nargs="+", metavar="METRIC", help="such as ndcg map@5; without it the stored ones")
    again.add_argument("--cutoffs", nargs="+", type=int, metavar="K", help="instead of those of the run")
    again.add_argument("--conventions", metavar="LIBRARY", help="the definitions of another library, such as recbole")
    again.add_argument("--json", action="store_true", help="JSON instead of a table")
    two = commands.add_parser("diff", help="what differs between two runs, and where the metric moved")
    two.add_argument("first", metavar="RUN")
    two.add_argument("second", metavar="RUN")
    two.add_argument("--json", action="store_true", help="JSON instead of the report")


def do_verify(given: Namespace) -> int:
    """Verify runs; 0 when all are confirmed, 1 when one is not."""
    from recsys_lab.experiment import labels, load_experiment
    from recsys_lab.verification import Bench, find_run, newest_runs, verify

    if bool(given.run) == bool(given.all):
        raise ValueError("name runs, or an experiment with --all EXPERIMENT.yaml; one of the two")
    if given.all:
        spec = load_experiment(given.all)
        runs = newest_runs(spec.name, labels(spec))
        if not runs:
            raise LookupError(f"{spec.name} has no finished run; run it first: recsys-lab run {given.all}")
    else:
        runs = [find_run(text) for text in given.run]
    bench, verdicts = Bench(), []
    for run in runs:
        verdicts.append(verify(run, bench))
        if not given.json:
            print(verdicts[-1], flush=True)
    if given.json:
        print(json.dumps([verdict.to_json() for verdict in verdicts], indent=1, ensure_ascii=False))
    elif len(verdicts) > 1:
        levels = [verdict.level for verdict in verdicts]
        counts = ", ".join(f"{levels.count(level)} {level}" for level in dict.fromkeys(levels))
        n = sum(verdict.confirmed for verdict in verdicts)
        print(f"\n{n} of {len(verdicts)} runs confirmed: {counts}")
    return 0 if all(verdict.confirmed for verdict in verdicts) else 1


def do_rescore(given: Namespace) -> int:
    """Measure stored lists again and say whether what was stored comes out to the last digit."""
    import pandas as pd

    from recsys_lab.evaluation import by_convention
    from recsys_lab.tracking import load_evaluation, load_recipe
    from recsys_lab.verification import Bench, find_run, rescore

    run = find_run(given.run)
    evaluation, recipe = load_evaluation(run), load_recipe(run)
    split = Bench().splits(recipe)[0]
    if split.card.fingerprint != evaluation.split_hash:
        raise ValueError(f"data or split of {run.name!r} have changed; recsys-lab verify {run.run_id[:12]} says how")
    if given.conventions:
        if given.metrics:
            raise ValueError("--conventions has metrics of its own; leave out --metrics")
        frame = by_convention(evaluation, split, given.conventions, cutoffs=given.cutoffs)
    else:
        again = rescore(evaluation, split, recipe.experiment, metrics=given.metrics, cutoffs=given.cutoffs)
        stored = evaluation.summary
        names = [name for name in again.summary if name in again.metrics or ("@" in name and "tie_" not in name)]
        rows = {name: (again.summary[name], stored.get(name), _same(again, evaluation, name)) for name in names}
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "stored", "equal"])
    if given.json:
        print(frame.reset_index(names="metric").to_json(orient="records", indent=1, double_precision=15))
    else:
        print(f"{run.run_id[:12]}  {run.name}\n{frame.rename_axis(None).to_string(na_rep='–')}")
    unequal = list(frame.index[frame["equal"] == "NO"]) if "equal" in frame else []
    if unequal:
        print(f"stored and rescored differ: {', '.join(unequal)}", file=sys.stderr)
    return 1 if unequal else 0


def _same(again: Any, evaluation: Any, name: str) -> str:
    if name not in evaluation.summary:
        return "new"
    first, second = again.summary[name], evaluation.summary[name]
    return "yes" if first == second or (first != first and second != second) else "NO"


def do_diff(given: Namespace) -> int:
    """Print what differs between two runs."""
    from recsys_lab.verification import diff, find_run

    found = diff(find_run(given.first), find_run(given.second))
    print(json.dumps(found.to_json(), indent=1, ensure_ascii=False, default=str) if given.json else found)
    return 0
