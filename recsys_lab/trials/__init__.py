"""The work of one family notebook: load data, make the split, fit, evaluate, record; finished trials are loaded.

The contract between notebooks, this module and the runner
----------------------------------------------------------
A family notebook has ONE cell tagged ``parameters`` with exactly these lines (papermill reads names and types)::

    experiment: str = ""   # path of an experiment file; "" = a small built-in experiment on synthetic-small
    split: int = 0         # which entry of the experiment's list of splits
    fold: int = -1         # which fold of a k_fold split; -1 = all of them
    seed: int = 42         # which seed of the experiment's list (deterministic algorithms ignore it)
    log: bool = False      # record the trials in MLflow; the runner sets True

and starts with::

    from recsys_lab.trials import open_family
    work = open_family(experiment, family="collaborative_filtering", split=split, fold=fold, seed=seed, log=log)
    evaluations = work.run()            # {label: Evaluation}; a failing algorithm is recorded and left out
    work.table()                        # DataFrame: model × metrics; the mean over folds for k_fold
    work.failures                       # {label: message}

Also there: ``work.experiment`` (name, question, evaluation.primary, evaluation.task, cutoffs), ``work.data``
(Interactions), ``work.split`` (the first Split), ``work.splits`` (all folds), ``work.trials``, ``work.checks``
({label: the checks of its trial}),
``work.algorithm(label)`` (fitted; fitted anew when the trial was loaded from MLflow), ``work.baselines`` (labels),
``work.fold_evaluations`` ({fold: {label: Evaluation}}) and ``work.evaluations`` (those of ``work.split``).
``family=None`` opens all families at once (for the quickstart and the leaderboard).

``20_leaderboard`` has ``experiment: str = ""`` and ``log: bool = False``: with ``log`` it reads the finished trials
of the experiment from MLflow; without, it runs the small experiment itself (``open_family(experiment, family=None)``).

By hand in JupyterLab logging is off and nothing is left behind: no database, no folder, no lock.
"""

from recsys_lab.trials.checking import check_experiment
from recsys_lab.trials.prepare import load_data, make_splits, try_data
from recsys_lab.trials.published import Checked, check_published, published_files
from recsys_lab.trials.work import FamilyWork, open_family

__all__ = [
    "Checked",
    "FamilyWork",
    "check_experiment",
    "check_published",
    "load_data",
    "make_splits",
    "open_family",
    "published_files",
    "try_data",
]
