"""Published numbers: run an experiment without notebooks and compare what came out with what was published."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from recsys_lab.experiment import Experiment
from recsys_lab.experiment.models import Expected
from recsys_lab.metrics.definitions import lower_is_better
from recsys_lab.trials.work import FamilyWork, open_family

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "published"


@dataclass(frozen=True)
class Checked:
    """One published number, what we got, and whether it is near enough."""

    expected: Expected
    got: float | None  # None when the model failed
    message: str = ""

    @property
    def passed(self) -> bool:
        if self.got is None:
            return False
        difference = self.got - self.expected.value
        if self.expected.one_sided:
            lower = lower_is_better(self.expected.metric)
            difference = max(difference, 0.0) if lower else min(difference, 0.0)
        return abs(difference) <= self.expected.tolerance

    def __str__(self) -> str:
        expected = self.expected
        left = f"{expected.algorithm:<24} {expected.metric:<16} expected {expected.value:<9.6g}"
        if self.got is None:
            return f"{left} failed: {self.message}"
        verdict = "ok" if self.passed else "WRONG"
        difference = self.got - expected.value
        tolerance = f"tolerance {expected.tolerance:g}{', one-sided' if expected.one_sided else ''}"
        return f"{left} got {self.got:<9.6g} difference {difference:+.6f} {tolerance}  {verdict}"


def published_files(names: Sequence[str] = (), folder: Path = FOLDER, *, slow: bool = False) -> list[Path]:
    """The experiment files in experiments/published: all, or those with the stems ``names``.

    Those in its folder ``slow`` (minutes each) come along when ``slow`` is set or when they are named.
    """
    files = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if slow or names:
        files |= {file.stem: file for file in sorted((folder / "slow").glob("*.yaml"))}
    for name in names:
        if name not in files:
            near = get_close_matches(name, list(files), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no published experiment {name!r}{hint} There are: {', '.join(files) or 'none'}")
    return [files[name] for name in names] if names else list(files.values())


def check_published(
    experiment: Experiment, *, log: bool = False, say: Callable[[str], None] = print
) -> Iterator[Checked]:
    """Run the experiment in this process and yield one line for each expected number, telling it through ``say``.

    Values are means over folds. Raises ValueError when the experiment expects nothing.
    """
    if not experiment.expected:
        raise ValueError(f"{experiment.name} has no list of expected numbers; add the key expected")
    say(f"{experiment.name}: {experiment.question}")
    for split in sorted({expected.split for expected in experiment.expected}):
        work = open_family(experiment, family=None, split=split, log=log)
        work.run(progress=sys.stderr.isatty())
        for expected in experiment.expected:
            if expected.split == split:
                checked = _check(work, expected)
                say(f"  {checked}")
                yield checked


def _check(work: FamilyWork, expected: Expected) -> Checked:
    if expected.algorithm in work.failures:
        return Checked(expected, None, work.failures[expected.algorithm])
    values = work.table([expected.metric])[expected.metric].to_dict()
    value = float(values.get(expected.algorithm, float("nan")))
    if value != value:
        return Checked(expected, None, f"{expected.metric} was not measured")
    return Checked(expected, value)
