"""The bar over the trials of a notebook."""

from __future__ import annotations

from typing import Any

from recsys_lab.experiment import Trial


def progress_bar(trials: list[Trial], shown: bool) -> Any:
    """The trials, with a bar that goes when they are done; just the trials when it is not ``shown``."""
    if not shown:
        return trials
    from tqdm.auto import tqdm

    return tqdm(trials, desc="trials", unit="trial", leave=False)
