"""The commands around a served model."""

from __future__ import annotations

from argparse import Namespace
from typing import Any


def add_serving_commands(commands: Any) -> None:
    """promote and rollback."""
    promote = commands.add_parser("promote", help="register the winner of an experiment and point an alias at it")
    promote.add_argument("file", help="experiment file (YAML), finished")
    promote.add_argument("--run", default="", help="a run id, its beginning, or a model of the leaderboard")
    promote.add_argument("--alias", choices=["champion", "challenger"], default="champion")
    promote.add_argument("--name", default=None, help="registered model (default: recommender)")
    promote.add_argument("--split", type=int, default=0, help="which split's leaderboard decides")
    promote.add_argument("--all-data", action="store_true", help="fit on all rows after the comparison")
    rollback = commands.add_parser("rollback", help="point an alias at the version it had before")
    rollback.add_argument("--alias", choices=["champion", "challenger"], default="champion")
    rollback.add_argument("--name", default=None, help="registered model (default: recommender)")


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
