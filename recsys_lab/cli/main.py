"""Parsing, errors as one message, exit codes: 0 done, 1 something failed, 2 wrong use, 130 stopped by Ctrl-C."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from recsys_lab import __version__
from recsys_lab.cli.feedback import FEEDBACK, add_feedback_commands
from recsys_lab.cli.serving import SERVING, add_serving_commands
from recsys_lab.cli.simulation import add_simulation_command
from recsys_lab.cli.verification import add_verification_commands

# errors that the user can mend; anything else is a mistake of ours and keeps its traceback
_USERS_ERRORS = (ValueError, LookupError, OSError, ImportError, TypeError)


class _Parser(argparse.ArgumentParser):
    """A parser that suggests the nearest option when one is misspelt, and takes no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        from difflib import get_close_matches

        known = [option for action in self._actions for option in action.option_strings]
        known += [str(choice) for action in self._actions for choice in action.choices or ()]
        wrong = re.search(r"invalid choice: '(.*?)'|^(?:unknown|unrecognized) arguments?:? (--[^\s=]+)", message)
        near = get_close_matches(wrong[1] or wrong[2], known, n=1) if wrong else []
        if near:
            message += f"; did you mean {near[0]}?"
        self.exit(2, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(prog="recsys-lab", description="Recommender comparisons that can be trusted.")
    parser.add_argument("--version", action="version", version=f"recsys-lab {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_experiment_commands(commands)
    _add_list_commands(commands)
    _add_other_commands(commands)
    add_verification_commands(commands)
    add_serving_commands(commands)
    add_feedback_commands(commands)
    add_simulation_command(commands)
    return parser


def _add_experiment_commands(commands: Any) -> None:
    run = commands.add_parser("run", help="run an experiment: notebooks in parallel, MLflow, leaderboard")
    run.add_argument("file", type=Path, help="experiment file (YAML)")
    run.add_argument("--only", action="append", default=[], metavar="FAMILY", help="only this family (repeatable)")
    run.add_argument("--seeds", type=_seed, nargs="+", metavar="SEED", help="instead of the seeds in the file")
    run.add_argument("--jobs", type=_jobs, default=None, metavar="N", help="notebooks at a time; auto = one a core")
    run.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    _add_set(run)
    board = commands.add_parser("leaderboard", help="rank the finished trials of an experiment, without running")
    board.add_argument("file", type=Path)
    board.add_argument("--format", choices=["terminal", "markdown", "latex"], default="terminal")
    _add_set(board)
    check = commands.add_parser("check", help="check the data and splits of an experiment, without running it")
    check.add_argument("file", type=Path)
    _add_set(check)
    across = commands.add_parser("across", help="compare finished experiments on several data sets by ranks")
    across.add_argument("files", type=Path, nargs="+", metavar="FILE", help="one experiment file a data set, 5 or more")
    across.add_argument("--split", default="", help="which table, where an experiment has several splits")
    ui = commands.add_parser("ui", help="open MLflow on an experiment")
    ui.add_argument("file", type=Path, nargs="?", help="experiment file; without it the list of experiments")
    ui.add_argument("--host", default="127.0.0.1")
    ui.add_argument("--port", type=_port, default=5000)
    ui.add_argument("--print-only", action="store_true", help="print the links, start nothing")
    published = commands.add_parser("published", help="check published numbers (experiments/published)")
    published.add_argument("name", nargs="*", help="file stems; all without it")
    published.add_argument("--slow", action="store_true", help="also those that take minutes each")
    published.add_argument("--no-log", action="store_true", help="do not record in MLflow, do not resume")


def _add_list_commands(commands: Any) -> None:
    commands.add_parser("datasets", help="the data sets, their licences, and which are on this machine")
    commands.add_parser("algorithms", help="the algorithms and their hyper-parameters").add_argument(
        "name", nargs="?", help="show the hyper-parameters of one"
    )
    metrics = commands.add_parser("metrics", help="the metrics and their definitions")
    metrics.add_argument("name", nargs="?", help="show one, such as ndcg")
    metrics.add_argument(
        "--conventions", metavar="LIBRARY", help="what another library means by its names: recbole, ..."
    )


def _add_other_commands(commands: Any) -> None:
    notebook = commands.add_parser("notebook", help="execute one notebook with checked parameters")
    notebook.add_argument("name", help="such as 01_explore_data")
    notebook.add_argument("-p", "--parameter", action="append", default=[], metavar="KEY=VALUE")
    doctor = commands.add_parser("doctor", help="check the installation and the store; --fix mends what it can")
    doctor.add_argument("--fix", action="store_true", help="close stale runs, remove unfinished files")
    commands.add_parser("warmup", help="compile and cache the fast loops once")
    commands.add_parser("docs", help="write the generated tables of README and docs")


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="change a key of the file, such as evaluation.primary=ndcg@20 (repeatable)",
    )


def _jobs(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; right would be 1, 2, ... or auto")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; right would be a whole number from 0 on")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; right would be a number from 1 to 65535")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = build_parser()
    known, extra = parser.parse_known_args(arguments)
    if extra and known.command == "notebook":  # `mlflow run -e notebook -P seed=7` ends as "--seed 7"
        known.parameter += _pairs(extra, parser)
    elif extra:
        sub = parser._subparsers._group_actions[0].choices[known.command]  # type: ignore[union-attr,index]
        sub.error(f"unknown argument {extra[0]}")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads sleep: spinning ones made two threads 5 × slower
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # own algorithms, named as package.module:Class
    signal.signal(signal.SIGTERM, _stop)
    try:
        homes = {**dict.fromkeys(SERVING, "serving"), **dict.fromkeys(FEEDBACK, "feedback")}
        home = homes.get(known.command, "commands")  # a replica loads nothing of the lab
        command = getattr(import_module(f"recsys_lab.cli.{home}"), f"do_{known.command.replace('-', '_')}")
        return int(command(known) or 0)
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again: it goes on where it was.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `recsys-lab metrics | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _USERS_ERRORS as error:
        if known.traceback:
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"recsys-lab {known.command}: {message}", file=sys.stderr)
        return 2


def _pairs(extra: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    if len(extra) % 2 or not all(name.startswith("--") for name in extra[::2]):
        parser.error(f"unknown argument {extra[0]}; a notebook's parameter is written -p key=value")
    return [f"{name.removeprefix('--')}={value}" for name, value in zip(extra[::2], extra[1::2], strict=True)]


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
