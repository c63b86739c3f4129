"""Which model answers a request: the one asked for, or the one that the split between champion and challenger gives.

A challenger in the shadow computes a list for the same users, which is noted and never shown.
"""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from math import ceil

from recsys_lab.serving.errors import Problem
from recsys_lab.serving.feedback import Feedback
from recsys_lab.serving.logs import log
from recsys_lab.serving.models import Loaded, Models
from recsys_lab.serving.recent import NOTHING, Acts
from recsys_lab.serving.recommender import Answer
from recsys_lab.serving.schemas import Role, UserOptions
from recsys_lab.serving.settings import Settings
from recsys_lab.serving.storage import impression_row

MOST_SHADOWS = 4  # lists computed at a time; more are left out


def pick(settings: Settings, models: Models, role: Role | None, user_id: str | None = None) -> Loaded:
    """The model in ``role``; without one, the role that the split gives the user. Problem 503 or 404 where none is."""
    champion, challenger = models.champion, models.challenger
    if champion is None:
        raise no_model(settings)
    if role == "challenger" and challenger is None:
        raise Problem(404, f"no version has the alias {settings.challenger!r}; right would be model=champion")
    tested = role is None and user_id is not None and in_test(user_id, settings.ab_share)
    return challenger if challenger is not None and (role == "challenger" or tested) else champion


def no_model(settings: Settings) -> Problem:
    """What is said while nothing is loaded."""
    wait = str(max(1, ceil(settings.poll_seconds)))
    return Problem(503, "no model is loaded yet; recsys-lab promote gives one", headers={"retry-after": wait})


def in_test(user_id: str, share: float) -> bool:
    """Whether the challenger answers this user: the same for ever, and as share grows nobody leaves."""
    if share <= 0:
        return False
    digest = hashlib.blake2b(user_id.encode("utf-8", "replace"), digest_size=8, person=b"recsysAB").digest()
    return int.from_bytes(digest, "big") < share * 2**64


class Shadow:
    """Lists of the challenger beside those that the champion showed."""

    def __init__(self, models: Models, feedback: Feedback, pool: ThreadPoolExecutor) -> None:
        self.models, self.feedback, self.pool = models, feedback, pool
        self._running = 0

    def ask(self, user_id: str, asked: UserOptions, acts: Acts, list_id: str, now: float, shown: Answer) -> None:
        """Compute and note the challenger's list in the background, if it is loaded and not busy."""
        if self.models.challenger is None or self._running >= MOST_SHADOWS:
            return
        self._running += 1
        self.pool.submit(self._ask, self.models.challenger, user_id, asked, acts, list_id, now, shown)

    def _ask(
        self, loaded: Loaded, user_id: str, asked: UserOptions, acts: Acts, list_id: str, now: float, shown: Answer
    ) -> None:
        try:
            answer = users_list(loaded, user_id, asked, acts)
            items = [str(one.item_id) for one in answer.items]
            common = len(set(items) & {str(one.item_id) for one in shown.items})
            self.models.monitoring.shadow_overlap.set(common / max(len(shown.items), 1))
            row = impression_row(list_id, "shadow", now, user_id, loaded.version, answer.source, items)
            self.feedback.add("impression", [row])
        except Exception as error:  # nobody waits for this thread
            log(
                "the challenger failed in the shadow",
                level=logging.ERROR,
                error=error,
                hide=[user_id],
                list_id=list_id,
            )
        finally:
            self._running -= 1


def users_list(loaded: Loaded, user_id: str, asked: UserOptions, acts: Acts = NOTHING) -> Answer:
    """The list of a user after what they did lately; popular items for a user of whom nothing is known."""
    served = loaded.recommender
    exclude = [*asked.exclude, *(acts.seen if asked.exclude_seen else acts.disliked)]
    taken = served.new_to(user_id, acts.taken) if served.bundle.algorithm.serves_new_users else []
    if taken:
        return served.fold_in(
            dict.fromkeys(taken),
            asked.k,
            exclude=exclude,
            genre=asked.genre,
            exclude_seen=asked.exclude_seen,
            explain=asked.explain,
            user_id=user_id,
        )
    answer = served.recommend(
        user_id,
        asked.k,
        exclude=exclude,
        genre=asked.genre,
        exclude_seen=asked.exclude_seen,
        explain=asked.explain,
    )
    return answer if answer is not None else served.popular(asked.k, exclude=exclude, genre=asked.genre)
