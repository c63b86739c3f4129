"""Times as people type them."""

from __future__ import annotations

import datetime
import re
import time

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str, now: float | None = None) -> float:
    """Unix seconds of a day, a time (UTC unless it names a zone), or "7d", "12h", "30m" before ``now``."""
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", text.strip())
    if ago:
        return (time.time() if now is None else now) - float(ago[1]) * _UNITS[ago[2]]
    try:
        found = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time; right would be 2026-11-01, 2026-11-01T12:00 or 7d") from None
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()
