"""The finished trials of an experiment, ranked: one table a split, written as HTML, Markdown, LaTeX and CSV."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from recsys_lab.checks import Check
from recsys_lab.comparison.same import differing_fields
from recsys_lab.evaluation import Evaluation
from recsys_lab.experiment import Experiment, Trial, expand, load_experiment, sweep_id
from recsys_lab.leaderboard import html, text
from recsys_lab.leaderboard.appendix import pairs_csv
from recsys_lab.leaderboard.cards import card_files, with_cards
from recsys_lab.leaderboard.files import replace_file
from recsys_lab.leaderboard.table import ORACLE, Entry, Table, build_table
from recsys_lab.plots import to_png, to_svg
from recsys_lab.tracking import Run, find_trials, home, load_checks, load_evaluation, load_tuning
from recsys_lab.tuning import TuningRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from recsys_lab.trials import FamilyWork


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """The tables of an experiment, one a split."""

    name: str
    question: str
    tables: tuple[Table, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """All rows; the column ``split`` names the table when there are several."""
        if len(self.tables) == 1:
            return self.tables[0].frame
        return pd.concat([table.frame.assign(split=table.title) for table in self.tables])

    @property
    def valid(self) -> bool:
        """Whether every table has the baselines without which its numbers mean little."""
        return all(table.valid for table in self.tables)

    def to_markdown(self, columns: Sequence[str] | None = None, *, links: bool = True) -> str:
        """The tables as Markdown; ``columns`` (keys such as "model", "mean", "p_holm") chooses some of them."""
        tables = [text.to_markdown(table, columns, links=links) for table in self.tables]
        return "\n".join([self._agreement(), *tables]).lstrip()

    def to_terminal(self) -> str:
        """The tables with the columns that matter most, as aligned lines."""
        return "\n".join(text.to_terminal(table) for table in self.tables)

    def to_latex(self) -> str:
        """The tables for a paper (booktabs)."""
        return "\n".join(text.to_latex(table) for table in self.tables)

    def to_html(self) -> str:
        """One page that can be read offline: tables that can be sorted, figures, how to read them."""
        return html.to_html(self.tables, self.question, f"{self.name} · leaderboard")

    def to_svg(self) -> str:
        """The first table as a picture: every model with its interval."""
        return to_svg(_picture(self), transparent=False)

    def _repr_html_(self) -> str:
        """How notebooks show a leaderboard: its tables."""
        return html.to_notebook(self.tables)

    def write(self, folder: Path | None = None) -> list[Path]:
        """Write leaderboard.html, .md, .tex, .csv, .png, .svg, all_pairs.csv and cards/ into ``folder``.

        The default folder is outputs/<experiment>. Each file is replaced in one step: no reader meets half of it.
        """
        folder = folder or home() / "outputs" / self.name
        files: dict[str, bytes] = {
            "html": self.to_html().encode(),
            "md": f"# {self.question}\n\n{self.to_markdown()}".encode(),
            "tex": self.to_latex().encode(),
            "csv": self.frame.to_csv().encode(),
            "svg": self.to_svg().encode(),
            "png": to_png(_picture(self)),
        }
        named = {f"leaderboard.{ending}": content for ending, content in files.items()}
        named["all_pairs.csv"] = pairs_csv({table.title: table.comparison for table in self.tables}).encode()
        return [replace_file(folder / name, one) for name, one in {**named, **card_files(self.tables)}.items()]

    def _agreement(self) -> str:
        """Kendall's tau between the orders of two splits, in words; "" when there is nothing to say."""
        lines = []
        for place, one in enumerate(self.tables):
            for other in self.tables[place + 1 :]:
                pair = pd.concat([_ranked(one), _ranked(other)], axis=1, join="inner")
                if len(pair) > 2:
                    tau = pair.iloc[:, 0].corr(pair.iloc[:, 1], method="kendall")
                    lines.append(f"Order of the models, {one.title} and {other.title}: Kendall's tau {tau:.2f}.")
        return "\n\n".join([*lines, ""]) if lines else ""


def _picture(board: Leaderboard) -> Figure:
    return next(iter(html.figures(board.tables[0]).values()))


def build(experiment: Experiment | Path | str) -> Leaderboard:
    """The leaderboard of the trials of an experiment (or its file) that MLflow knows.

    Only trials of the experiment as it stands now are read: those of an earlier version of its file, of the data or
    of the code are not mixed in. Missing and failed trials are named below their table.

    Raises LookupError when no trial is finished.
    """
    spec = experiment if isinstance(experiment, Experiment) else load_experiment(experiment)
    trials = expand(spec)
    runs = find_trials(spec.name, {trial.trial_id for trial in trials}, sweep_id(spec))
    finished = {
        trial.trial_id: _read(spec, trial, runs[trial.trial_id])
        for trial in trials
        if trial.trial_id in runs and runs[trial.trial_id].status == "FINISHED"
    }
    failed = {
        trial.trial_id: runs[trial.trial_id].tags.get("error", "see its run in MLflow")
        for trial in trials
        if trial.trial_id in runs and runs[trial.trial_id].status == "FAILED"
    }
    if not finished:
        raise LookupError(
            f"no finished trial of {spec.name!r} ({len(trials)} planned); "
            f"run it first: recsys-lab run {shlex.quote(str(spec.path or 'FILE'))}"
        )
    tables = []
    for split in sorted({trial.split for trial in trials}):
        planned = [trial for trial in trials if trial.split == split]
        if any(trial.trial_id in finished for trial in planned):
            tables.append(with_cards(_table(spec, planned, finished, failed), planned, runs))
    _same_data(tables)
    return Leaderboard(spec.name, spec.question, tuple(tables))


def from_work(work: FamilyWork) -> Leaderboard:
    """The leaderboard of the trials of a notebook, without a look into MLflow.

    That of one family is not blamed for the baselines that belong to the others.
    """
    known = {
        trial.trial_id: work.fold_evaluations[trial.fold or 0][trial.label]
        for trial in work.trials
        if trial.label in work.fold_evaluations.get(trial.fold or 0, {})
    }
    complete = _complete_labels(work.trials, known)
    entries = [
        _entry(
            work.experiment,
            trial,
            known[trial.trial_id],
            work.checks.get(trial.label, ()),
            work.records.get(trial.trial_id),
        )
        for trial in work.trials
        if trial.label in complete
    ]
    table = _of_entries(work.experiment, entries, dict(work.failures), check_baselines=work.family is None)
    return Leaderboard(work.experiment.name, work.experiment.question, (table,))


def _table(
    spec: Experiment,
    planned: Sequence[Trial],
    finished: Mapping[str, Entry],
    failed: Mapping[str, str],
) -> Table:
    complete = _complete_labels(planned, finished)
    entries = [finished[trial.trial_id] for trial in planned if trial.trial_id in finished and trial.label in complete]
    failures = {trial.label: failed[trial.trial_id] for trial in planned if trial.trial_id in failed}
    for trial in planned:
        if trial.trial_id not in finished and trial.trial_id not in failed:
            failures.setdefault(trial.label, "not finished, so not in the table; run the experiment again")
    return _of_entries(spec, entries, failures)


def _complete_labels(planned: Iterable[Trial], finished: Mapping[str, object]) -> set[str]:
    """Models all of whose seeds and folds are finished: a mean over some folds compares with nothing."""
    planned = list(planned)
    unfinished = {trial.label for trial in planned if trial.trial_id not in finished}
    return {trial.label for trial in planned} - unfinished


def _of_entries(
    spec: Experiment, entries: Sequence[Entry], failures: Mapping[str, str], *, check_baselines: bool = True
) -> Table:
    baselines = [
        entry.label for entry in entries if entry.family == "baseline" and entry.evaluation.algorithm != ORACLE
    ]
    return build_table(
        entries,
        primary=spec.evaluation.primary,
        baselines=list(dict.fromkeys(baselines)),
        dataset=spec.dataset_name,
        failures=failures,
        check_baselines=check_baselines,
    )


def _read(spec: Experiment, trial: Trial, run: Run) -> Entry:
    return _entry(spec, trial, load_evaluation(run), load_checks(run), load_tuning(run) if trial.space else None)


def _entry(
    spec: Experiment, trial: Trial, evaluation: Evaluation, checks: tuple[Check, ...], tuning: TuningRecord | None
) -> Entry:
    named = (trial.label, trial.family, evaluation, trial.seed, trial.fold)
    words = _split_words(spec, trial.split)
    rolling = spec.split[trial.split].strategy == "rolling"
    return Entry(*named, split=words, checks=checks, origin=trial.origin, tuning=tuning, rolling=rolling)


def _split_words(spec: Experiment, split: int) -> str:
    """``temporal_user, test 0.2`` and the strategy's options; what tells one split of an experiment from another."""
    one = spec.split[split]
    size = f"test {one.test:g}" if one.fold_keys is None else f"{one.fold_count} {one.fold_keys.chosen}"
    shown: dict[str, Any] = {key: value for key, value in one.options.items() if value is not None}
    return ", ".join([one.strategy, size, *(f"{key} {value}" for key, value in shown.items())])


def _ranked(table: Table) -> pd.Series:
    return table.frame.loc[table.frame["rank_group"].notna(), "mean"]


def _same_data(tables: Sequence[Table]) -> None:
    """ValueError that names the field when the tables of one leaderboard differ in data or protocol."""
    first = tables[0]
    for one in tables[1:]:
        differing = differing_fields(
            first.comparison.protocol | {"dataset_hash": first.comparison.dataset_hash},
            one.comparison.protocol | {"dataset_hash": one.comparison.dataset_hash},
            "",
        )
        if differing:
            named = "; ".join(f"{name}: {ours} and {theirs}" for name, ours, theirs in differing)
            raise ValueError(
                f"the tables of a leaderboard must share their data and protocol; {first.title!r} and {one.title!r} "
                f"differ in {named}"
            )
