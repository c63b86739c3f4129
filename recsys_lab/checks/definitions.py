"""The table of the checks: what each looks at, what its number is, when it runs and what to do when it fails."""

from __future__ import annotations

from dataclasses import dataclass

from recsys_lab.checks.check import Level


@dataclass(frozen=True)
class Definition:
    """One row of the table."""

    level: Level
    what: str  # holds in a sound run
    value: str
    when: str
    remedy: str


SPLIT, PROTOCOL, TRIAL, TABLE = (
    "before any fit, each split",
    "before any fit, each split and protocol",
    "after each trial",
    "each table",
)

CHECKS: dict[str, Definition] = {
    "L01": Definition(
        "E",
        "No pair (user, item) is in two parts, no row occurs twice, no row is tested in two folds. user_holdout, "
        "cold_users, cold_items: no held-out user (or item) is in two parts.",
        "pairs in two parts and repeated rows",
        SPLIT,
        "Join duplicates before the split (`duplicates`); `exclude_seen: false` if items are had again.",
    ),
    "L02": Definition(
        "E",
        "A temporal_global or rolling split: every part ends before the next begins, no timestamp is on both sides. "
        "temporal_user, leave_last_one_out: the same within each user, equal times allowed.",
        "rows that are not before the next part",
        SPLIT,
        "Cut the parts anew with `split(data, strategy)`.",
    ),
    "L03": Definition(
        "W",
        "No train row lies in the future of a test row.",
        "share of the pairs (train row, test row) in which the train row is later",
        SPLIT,
        "Use temporal_global for claims, or show it beside the other split.",
    ),
    "L04": Definition(
        "W",
        "No candidate has its first event after the test event that it competes with.",
        "share of the pairs (test row, candidate) in which it has",
        PROTOCOL,
        "Use temporal_global, or `candidates: known`.",
    ),
    "L05": Definition(
        "E",
        "Canary rows that are added to the test part alone leave every score of a fit as it was.",
        "users (of at most 100) whose scores changed",
        "after each trial of an own algorithm (`package.module:Class`); of all with `checks: {canary: true}`; "
        "costs one more fit",
        "Let `fit` and `score` use the rows they are given and nothing else.",
    ),
    "L06": Definition(
        "W",
        "Every content column is declared static or train_derived; no train_derived one was made before the split; no "
        "static one correlates above .95 with the popularity or mean rating of the items in test.",
        "highest correlation of a static column",
        SPLIT,
        "Declare the columns (`dataset.content`), and leave out what was made from the rows of all parts.",
    ),
    "L07": Definition(
        "W",
        "At most 10 configurations of one algorithm were measured on one test part.",
        "configurations that MLflow knows, this one included",
        TRIAL + " that is logged",
        "Choose hyper-parameters on a validation part; the test part is for the last look.",
    ),
    "L08": Definition(
        "E",
        "A search for hyper-parameters saw no pair of the test part.",
        "pairs of the test part that the search could see",
        TRIAL + " whose hyper-parameters were searched",
        "Search on a validation part that is cut from train.",
    ),
    "L09": Definition(
        "E",
        "The lists do not depend on the order of the candidates.",
        "users (of 16) whose lists differ",
        TRIAL + " of a ranking",
        "Let `score` give the same numbers each time, and leave ranking and ties to `Algorithm.recommend`.",
    ),
    "L10": Definition(
        "W",
        "No metric of accuracy is above .95 (hit_rate, recall and auc are left out: long lists alone lift them), and "
        "the primary one is at most 5 times that of the best baseline, of Popularity where none is measured yet. The "
        "Oracle is excepted.",
        "times the best baseline (of errors: how many times smaller)",
        TRIAL + "; " + TABLE,
        "Look for what the model knows of the test part: `checks: {canary: true, permuted: true}`.",
    ),
    "L11": Definition(
        "E",
        "Precision and recall of a random and of a constant scorer are what chance gives, within 4 standard errors.",
        "largest distance in standard errors",
        PROTOCOL + " of a ranking",
        "Ties, masks or candidates favour some items: mend them before any comparison.",
    ),
    "L12": Definition(
        "W",
        "Fitted on rows whose users were shuffled, a model is not clearly better than Popularity.",
        "mean difference in ndcg to Popularity on shuffled rows",
        TRIAL + " with `checks: {permuted: true}`; costs one more fit and evaluation",
        "Look for what the model knows of the test part.",
    ),
    "L13": Definition(
        "W",
        "No filter decided by rows of the test part too, and filters dropped at most 20 % of the rows.",
        "share of rows that filters dropped",
        SPLIT,
        "Say so beside the results: they hold for the rows left.",
    ),
    "L14": Definition(
        "E",
        "All models of a table were measured on the same users.",
        "users that models lack, all together",
        TABLE,
        "Measure all models on one split.",
    ),
}

INTRO = """\
Every run is checked. A failed check of level **E** stops it: the split before anything is fitted (`LeakError`), a
model after its trial, which is recorded as failed. A failed check of level **W** is recorded and shown beside the
results. An E cannot be switched off.

`recsys-lab check FILE.yaml` runs the checks of data and splits without running the experiment; its exit code is 1 when
an E fails. In Python: `leak_check(split)`, or `recsys_lab.checks` for single ones. The outcome of a trial is in
`work.checks[label]`, in the artifact `checks.json` and in the tag `checks` of its MLflow run ("ok", "warn: L03 L10").

What costs a fit of its own is asked for:

```yaml
checks: {canary: true, permuted: true}   # L05 for all algorithms, and L12
```

A canary (L05) is planted in the very objects that hold rows of the test part: the test part, the whole data set, and
whatever Interactions the algorithm can reach through its class, its module, closures, caches and `catalogue.info`. It
does not see what code reads from files, or has copied into arrays of its own before the run; L10 and L12 are the net
below it."""


def document() -> str:
    """The checks as a page of the documentation."""
    lines = ["# Checks", "", INTRO, ""]
    lines += ["| check | level | what holds in a sound run | value | when it runs | what to do |"]
    lines += ["|---|---|---|---|---|---|"]
    for name, row in CHECKS.items():
        lines.append(f"| {name} | {row.level} | {row.what} | {row.value} | {row.when} | {row.remedy} |")
    return "\n".join(lines) + "\n"
