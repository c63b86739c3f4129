"""Does a number come out again: runs rebuilt from what MLflow holds, stored lists measured anew, two runs compared."""

from recsys_lab.verification.difference import Difference, diff
from recsys_lab.verification.finding import find_run, newest_runs
from recsys_lab.verification.rebuild import Bench
from recsys_lab.verification.rescoring import rescore
from recsys_lab.verification.verdict import Verdict
from recsys_lab.verification.verifying import verify

__all__ = ["Bench", "Difference", "Verdict", "diff", "find_run", "newest_runs", "rescore", "verify"]
