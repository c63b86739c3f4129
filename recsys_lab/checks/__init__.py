"""Leak and sanity checks L01 to L14: level E stops a run, level W marks it. The table is in docs/checks.md."""

from recsys_lab.checks.check import Check, LeakError, failed, require_passed, summary_of
from recsys_lab.checks.definitions import CHECKS
from recsys_lab.checks.of_algorithms import canary_check, candidate_order_check, permuted_users_check
from recsys_lab.checks.of_data import content_check, filter_check
from recsys_lab.checks.of_evaluations import looks_check, same_users_check, too_good_check
from recsys_lab.checks.of_protocol import ProtocolFloor, chance_check, future_items_check, protocol_floor
from recsys_lab.checks.of_split import leak_check
from recsys_lab.checks.of_tuning import tuning_check

__all__ = [
    "CHECKS",
    "Check",
    "LeakError",
    "ProtocolFloor",
    "canary_check",
    "candidate_order_check",
    "chance_check",
    "content_check",
    "failed",
    "filter_check",
    "future_items_check",
    "leak_check",
    "looks_check",
    "permuted_users_check",
    "protocol_floor",
    "require_passed",
    "same_users_check",
    "summary_of",
    "too_good_check",
    "tuning_check",
]
