"""The rules that cut at moments: one cut for everybody, or several windows one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from recsys_lab.data.interactions import Int64, Interactions
from recsys_lab.splits.rules import Cut, Options

DAY = 86_400  # seconds


def temporal_global(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """Rows at or after one moment are held out: at ``at``, or where the share is nearest to the one asked for.

    Rows before ``train_from``, and from ``test_until`` on, are in no part; the share is one of the rows between them.
    """
    assert data.timestamps is not None
    times, inside = data.timestamps, np.ones(len(data), dtype=bool)
    if stage == "test":
        if options["train_from"] is not None:
            inside &= times >= moment(options["train_from"])
        if options["test_until"] is not None:
            inside &= times < moment(options["test_until"])
        if not inside.any():
            window = {name: options[name] for name in ("train_from", "test_until")}
            raise ValueError(
                f"no row lies in {window}; the rows are from {times.min()} to {times.max()} (Unix seconds)"
            )
    at = options["at"] if stage == "test" else options["validation_at"]
    cut = moment(at) if at is not None else _nearest(times[inside], [1.0 - share], f"between train and {stage}")[0]
    return Cut(inside & (times < cut), inside & (times >= cut))


def rolling(data: Interactions, share: float, seed: int, stage: str, options: Options) -> Cut:
    """Window ``window`` of ``n_windows`` is held out: train is what lies before it, later rows are in no part.

    The last ``share`` of the rows is cut into windows of about equally many rows, or, with ``window_days``, each window
    lasts so many days and the last one ends with the data. Not ``expanding``: train lasts as long as that of window 0.
    A validation part is the last share of train.
    """
    assert data.timestamps is not None
    times = data.timestamps
    if stage != "test":
        cut = _nearest(times, [1.0 - share], f"between train and {stage}")[0]
        return Cut(times < cut, times >= cut)
    bounds = _bounds(times, share, options)
    begin, end = bounds[options["window"]], bounds[options["window"] + 1]
    kept = times < begin
    if not options["expanding"]:
        kept &= times >= begin - (bounds[0] - int(times.min()))
    return Cut(kept, (times >= begin) & (times < end))


def _bounds(times: Int64, share: float, options: Options) -> list[int]:
    """The moments at which the windows begin, and the one at which the last of them ends."""
    n_windows, end = options["n_windows"], int(times.max()) + 1
    if options["window_days"] is None:
        begin = [1.0 - share + share * number / n_windows for number in range(n_windows)]
        return [*_nearest(times, begin, f"for the begin of {n_windows} windows"), end]
    lasts = options["window_days"] * DAY
    bounds = [end - round((n_windows - number) * lasts) for number in range(n_windows)]
    if bounds[0] <= int(times.min()):
        spanned = (end - int(times.min())) / DAY
        raise ValueError(
            f"{n_windows} windows of {options['window_days']:g} days leave no train rows: the rows span "
            f"{spanned:.4g} days; ask for fewer or shorter windows"
        )
    return [*bounds, end]


def _nearest(times: Int64, shares: list[float], what: str) -> list[int]:
    """For each share of the rows the moment before which the share nearest to it lies; all of them different."""
    ordered = np.sort(times)
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1  # rows where a new time begins
    if not len(starts):
        raise ValueError(
            f"all {len(times)} rows have one timestamp, so no moment lies {what}; "
            "use strategy 'random' or 'random_user'"
        )
    found = [int(ordered[starts[np.argmin(np.abs(starts - share * len(times)))]]) for share in shares]
    if len(set(found)) < len(found):
        raise ValueError(
            f"the {len(times)} rows have {len(starts) + 1} different timestamps, too few {what}; "
            "ask for fewer windows or a larger test"
        )
    return found


def moment(at: Any) -> int:
    """Unix seconds of a moment: seconds already, or a date such as '1998-03-01' (UTC where it names no zone)."""
    if isinstance(at, bool) or not isinstance(at, (int, np.integer, str, pd.Timestamp)):
        raise TypeError(f"a moment is Unix seconds or a date such as '1998-03-01'; found {at!r}")
    if isinstance(at, (int, np.integer)):
        return int(at)
    date = pd.Timestamp(at)
    return int((date if date.tz is not None else date.tz_localize("UTC")).timestamp())
