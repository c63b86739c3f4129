"""``recsys-lab simulate``: does offline evaluation tell the truth?"""

from __future__ import annotations

import os
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

NOTEBOOK = "30_does_offline_evaluation_tell_the_truth"


def add_simulation_command(commands: Any) -> None:
    """The parser of the command of this file."""
    simulate = commands.add_parser("simulate", help="judge protocols on generated data, whose truth is known")
    simulate.add_argument("file", nargs="?", default="", help="study file (YAML); a small one without it")
    simulate.add_argument("--jobs", type=_count, default=1, metavar="N", help="processes; 1 without it")
    simulate.add_argument("--notebook", action="store_true", help=f"also execute {NOTEBOOK} on the results")
    simulate.add_argument("--docs", action="store_true", help="write the results into docs/simulation.md")


def do_simulate(given: Namespace) -> int:
    """Run a study, or go on with it, and print what each protocol gets right."""
    from recsys_lab.simulation import LIKED, load_simulation, protocols, results_folder, simulate
    from recsys_lab.simulation.page import markdown, summary_table, update

    spec = load_simulation(given.file)
    table = simulate(spec, results_folder(), jobs=given.jobs, progress=True)
    results = results_folder() / f"{spec.name}.parquet"
    partial = results.with_suffix(".partial")
    table.to_parquet(partial)
    os.replace(partial, results)
    print(f"\n{spec.question}\n")
    print(summary_table(protocols(table, LIKED)).to_string(index=False))
    print(f"\nTable {os.path.relpath(results)}")
    if given.docs:
        page = Path(__file__).resolve().parents[2] / "docs" / "simulation.md"
        update(page, markdown(spec, table))
        print(f"Wrote {os.path.relpath(page)}")
    if given.notebook:
        from recsys_lab.runner import run_notebook

        study = str(Path(given.file).absolute()) if given.file else ""
        outcome = run_notebook(NOTEBOOK, {"study": study})
        print(f"Wrote {os.path.relpath(outcome.job.output)}")
        return 1 if outcome.status == "failed" else 0
    return 0


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number of processes; right would be 1, 2, ...")
    return int(text)
