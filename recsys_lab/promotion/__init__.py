"""From a leaderboard to a served version: choose, fit again, compare with the evaluation, register, move the alias."""

from recsys_lab.promotion.choose import Choice, choose
from recsys_lab.promotion.promote import MODEL_NAME, Promotion, promote, roll_back
from recsys_lab.promotion.replica import Replica, equal_lists, titles

__all__ = ["MODEL_NAME", "Choice", "Promotion", "Replica", "choose", "equal_lists", "promote", "roll_back", "titles"]
