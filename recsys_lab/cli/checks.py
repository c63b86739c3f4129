"""``recsys-lab check``: the checks of data and splits as a table."""

from __future__ import annotations

import textwrap
from argparse import Namespace

from recsys_lab.checks import failed
from recsys_lab.experiment import load_experiment


def do_check(given: Namespace) -> int:
    """Run the checks of data and splits; 1 when one of level E failed."""
    from recsys_lab.trials import check_experiment

    found = check_experiment(load_experiment(given.file, given.overrides))
    for place, checks in found.items():
        print(f"{place}\n  check  level  verdict      value  message")
        for check in checks:
            verdict = "ok" if check.passed else "FAILED" if check.level == "E" else "warning"
            value = "-" if check.value is None else f"{check.value:.4g}"
            line = f"  {check.id:<5}  {check.level:<5}  {verdict:<7}  {value:>9}  {check.message}"
            print(textwrap.fill(line, 118, subsequent_indent=" " * 35))
        print()
    errors = sorted({check.id for checks in found.values() for check in failed(checks)})
    warned = sorted({check.id for checks in found.values() for check in failed(checks, "W")})
    if errors:
        print(f"{', '.join(errors)} failed: nothing of this experiment would be run. What to do: docs/checks.md")
        return 1
    print(f"sound, with warnings: {', '.join(warned)}; see docs/checks.md" if warned else "sound")
    return 0
