"""What a search for hyper-parameters leaves behind: what was tried, at what cost, and what came out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

TRIALS, LEDGER = "trials.csv", "ledger.json"


@dataclass(frozen=True, eq=False)
class TuningRecord:
    """One search: the budget of one algorithm on one split, and its outcome."""

    metric: str  # such as "ndcg@10", measured on the validation part
    seed: int
    n_trials: int  # the budget; failed and timed-out trials count
    n_failed: int
    seconds: float  # wall clock of all trials together
    n_users: int  # validation users with a relevant item: the same for every model of the experiment
    validation_hash: str  # fingerprint of the (train, validation) split that was searched on
    space: dict[str, str]  # hyper-parameter -> where it was searched, in words
    space_hash: str
    best_value: float
    best_parameters: dict[str, Any]
    trials: pd.DataFrame  # a row a trial: number, state, value, best, seconds, message, a column a hyper-parameter
    warnings: tuple[str, ...] = field(default=())  # a best value on the edge of its range, failed trials, ...
    algorithm: str = ""
    fixed: dict[str, Any] = field(default_factory=dict)  # hyper-parameters that were given, so not searched
    n_random: int = 0  # so many of the first trials were drawn at random
    timeout_s: float | None = None  # of one trial

    def save(self, folder: str | Path) -> Path:
        """Write trials.csv and ledger.json (everything else) into ``folder``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.trials.to_csv(folder / TRIALS, index=False)
        ledger = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "trials"}
        (folder / LEDGER).write_text(json.dumps(ledger, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> TuningRecord:
        """The record that ``save`` wrote; FileNotFoundError when there is none."""
        folder = Path(folder)
        ledger = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
        trials = pd.read_csv(folder / TRIALS, keep_default_na=False, na_values={"value": "", "best": "", "seconds": ""})
        for name in ("best_parameters", "fixed"):
            ledger[name] = {key: tuple(one) if isinstance(one, list) else one for key, one in ledger[name].items()}
        return cls(**{**ledger, "warnings": tuple(ledger["warnings"])}, trials=trials)

    def summary(self) -> dict[str, Any]:
        """Everything but the trials, as plain values: what a card shows."""
        return {key: value for key, value in asdict(self).items() if key != "trials"}
