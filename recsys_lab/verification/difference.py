"""``diff``: what differs between two runs, and where the metric moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recsys_lab import tracking
from recsys_lab.comparison.values import measured_values
from recsys_lab.data.interactions import Catalogue
from recsys_lab.evaluation import Evaluation
from recsys_lab.significance import PairedTest, paired_test
from recsys_lab.tracking import Run, load_card, load_evaluation, load_recipe
from recsys_lab.verification.rebuild import Bench, field_changes

SECTIONS = ("data", "split", "protocol", "parameters", "environment", "code")
GROUPS = 4  # of users by the rows of their history


@dataclass(frozen=True, eq=False)
class Difference:
    """Two runs side by side. ``changes``: section -> lines, empty where they agree.

    ``users`` is indexed by user id, the one that moved most first: first, second, difference and, when the data are at
    hand, activity (rows in the history). ``by_activity``: n and mean difference of quarters of the users.
    """

    names: tuple[str, str]
    primary: str
    changes: dict[str, list[str]]
    means: tuple[float, float]
    test: PairedTest | None  # second - first over the users of both; None when there are none
    users: pd.DataFrame
    by_activity: pd.DataFrame
    note: str = ""  # why something is missing

    def to_json(self) -> dict[str, Any]:
        """Plain values: everything but the users, of whom the ten that moved most."""
        return {
            "runs": list(self.names),
            "primary": self.primary,
            "changes": self.changes,
            "means": list(self.means),
            "difference": None if self.test is None else self.test._asdict(),
            "moved_most": self.users.head(10).reset_index(names="user").to_dict("records"),
            "by_activity": self.by_activity.reset_index().to_dict("records"),
            "note": self.note,
        }

    def __str__(self) -> str:
        lines = [f"first   {self.names[0]}", f"second  {self.names[1]}", ""]
        for section in SECTIONS:
            found = self.changes[section]
            lines.append(f"{section:<12} {'equal' if not found else found[0]}")
            lines += [f"{'':<12} {line}" for line in found[1:]]
        lines += ["", f"{self.primary:<12} {self.means[0]:.6f}, then {self.means[1]:.6f}"]
        if self.test is not None:
            test = self.test
            lines.append(
                f"{'':<12} {test.difference:+.6f} [{test.low:+.6f}, {test.high:+.6f}] over {test.n:,} users, "
                f"p {test.p:.3g}; up for {test.wins:,}, equal for {test.ties:,}, down for {test.losses:,}"
            )
        if len(self.by_activity):
            lines += ["", "by activity (rows in the history)", _indented(self.by_activity)]
        moved = self.users[self.users["difference"] != 0].head(5)
        if len(moved):
            lines += ["", "users that moved most", _indented(moved)]
        return "\n".join([*lines, *([f"note: {self.note}"] if self.note else [])])


def diff(first: Run, second: Run, bench: Bench | None = None) -> Difference:
    """Compare two finished runs. FileNotFoundError when an artifact is gone, ValueError without a common metric."""
    bench = bench or Bench()
    runs = (first, second)
    one, other = (load_evaluation(run) for run in runs)
    cards = [_card(run) for run in runs]
    primary = str(cards[0]["protocol"]["primary"])
    if primary not in other.summary:
        raise ValueError(f"{primary} of {first.name!r} was not measured in {second.name!r}; nothing to compare")
    values = [measured_values({"run": evaluation}, primary).values["run"] for evaluation in (one, other)]
    catalogue, activity, note = _people(bench, first, one)
    if one.dataset_hash != other.dataset_hash:  # codes mean other users: go by their ids
        theirs, _, missing = _people(bench, second, other)
        note = note or missing
        pairs = zip(values, (catalogue, theirs))
        values = [_by_id(column, known) if known else column.iloc[:0] for column, known in pairs]
        activity = None if activity is None or catalogue is None else _by_id(activity, catalogue)
        catalogue = None
    users = pd.concat(values, axis=1, join="inner", keys=["first", "second"])
    users["difference"] = users["second"] - users["first"]
    by_activity = pd.DataFrame()
    if activity is not None and len(users):
        users["activity"] = activity.reindex(users.index)
        by_activity = _quarters(users)
    if catalogue is not None:
        users.index = pd.Index(catalogue.user_ids[users.index.to_numpy()], name="user")
    order = users["difference"].abs().sort_values(ascending=False, kind="stable").index
    return Difference(
        names=(f"{first.run_id[:12]} {first.name}", f"{second.run_id[:12]} {second.name}"),
        primary=primary,
        changes=_changes(runs, cards, (one, other)),
        means=(one.summary[primary], other.summary[primary]),
        test=paired_test(users["second"], users["first"]) if len(users) else None,
        users=users.loc[order],
        by_activity=by_activity,
        note=note,
    )


def _card(run: Run) -> dict[str, Any]:
    card = load_card(run)
    if card is None:
        raise FileNotFoundError(f"run {run.name!r} ({run.run_id[:12]}) has no evaluation card; run it again")
    return card


def _changes(
    runs: tuple[Run, Run], cards: list[dict[str, Any]], evaluations: tuple[Evaluation, Evaluation]
) -> dict[str, list[str]]:
    one, other = cards
    named = [{"algorithm": run.params.get("algorithm"), **now.parameters} for run, now in zip(runs, evaluations)]
    surroundings = [{**card["environment"], "packages": _packages(run)} for run, card in zip(runs, cards)]
    found = {name: field_changes(one[name], other[name]) for name in ("data", "split", "protocol", "code")}
    found["parameters"] = field_changes(named[0], named[1])
    found["environment"] = field_changes(surroundings[0], surroundings[1], skip=("memory_gb",))
    return {name: [line.replace(", now ", ", then ") for line in found[name]] for name in SECTIONS}


def _packages(run: Run) -> dict[str, str]:
    """All installed packages of the run with their versions."""
    lines = tracking.files_of(run, "environment.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))


def _people(bench: Bench, run: Run, evaluation: Evaluation) -> tuple[Catalogue | None, pd.Series | None, str]:
    """The users behind the codes and the rows of their history, if the data are still the run's; else why not."""
    try:
        recipe = load_recipe(run)
        split = bench.splits(recipe)[0]
    except (OSError, ValueError, LookupError) as error:
        return None, None, f"the data of {run.name!r} cannot be read, so users stand as codes: {error}"
    if split.card.dataset_hash != evaluation.dataset_hash:
        return None, None, f"the data of {run.name!r} are others now, so its users have no names"
    return split.train.catalogue, pd.Series(split.history.user_activity), ""


def _by_id(column: pd.Series, catalogue: Catalogue) -> pd.Series:
    named = column.copy()
    named.index = pd.Index(catalogue.user_ids[column.index.to_numpy()], name="user")
    return named


def _quarters(users: pd.DataFrame) -> pd.DataFrame:
    """Number and mean difference of users in quarters of their activity, equally many in each."""
    place = users["activity"].rank(method="first").to_numpy()
    quarter = np.minimum((place - 1) * GROUPS // max(len(users), 1), GROUPS - 1)
    rows: dict[str, Mapping[str, float]] = {}
    for number in range(GROUPS):
        inside = users[quarter == number]
        if len(inside):
            rows[f"{inside['activity'].min():.0f} to {inside['activity'].max():.0f} rows"] = {
                "n": len(inside),
                "first": inside["first"].mean(),
                "second": inside["second"].mean(),
                "difference": inside["difference"].mean(),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("activity")


def _indented(frame: pd.DataFrame) -> str:
    text = frame.rename_axis(None).to_string(float_format=lambda value: f"{value:.4f}")
    return "\n".join(f"  {line}" for line in text.splitlines())
