"""What the routes do: choose the model, ask it, count, and note what was shown."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from recsys_lab.serving.arms import Shadow, pick, users_list
from recsys_lab.serving.errors import Problem
from recsys_lab.serving.feedback import Feedback
from recsys_lab.serving.logs import HIDDEN, hashed, log
from recsys_lab.serving.models import Loaded, Models
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.recent import NOTHING, Recent
from recsys_lab.serving.recommender import Answer, Listed
from recsys_lab.serving.schemas import Event, FoldIn, Role, UserOptions
from recsys_lab.serving.settings import POOL_FROM, Settings
from recsys_lab.serving.storage import event_row, impression_row

Facts = dict[str, Any]  # of a request, for its log line
STEP = 1e-6  # seconds between two times of one clock; a float of Unix seconds tells 2.4e-7 apart
MOST_AT_ONCE = 50  # items in a question that is answered among other requests; one about more waits for its like


class Clock:
    """Unix seconds that only grow: what is said last counts, also when the clock of the machine is set back."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self) -> float:
        """Now. For one thread."""
        self._last = max(time.time(), self._last + STEP)
        return self._last


class Service:
    """One per app; ``facts`` belong to the request that is answered."""

    def __init__(
        self, settings: Settings, models: Models, feedback: Feedback, recent: Recent, monitoring: Monitoring
    ) -> None:
        self.settings, self.models, self.feedback, self.monitoring = settings, models, feedback, monitoring
        self.recent, self.clock = recent, Clock()
        self.pool = ThreadPoolExecutor(4, thread_name_prefix="score")
        self.slow = ThreadPoolExecutor(1, thread_name_prefix="slow")  # one at a time: more would take turns with lists
        self.shadow = Shadow(models, feedback, self.pool)
        self.draining = False

    async def for_user(self, user_id: str, asked: UserOptions, facts: Facts) -> dict[str, Any]:
        """The list of a user; popular items for an unknown one, or 404 when that was asked for."""
        loaded = pick(self.settings, self.models, asked.model, user_id)
        self._note_user(user_id, facts)
        code = loaded.recommender.user_codes.get(user_id)
        if code is None and asked.strict:
            raise Problem(404, "the model does not know this user; without strict=1 popular items come")
        acts = self.recent.of(user_id)
        is_long = asked.explain or len(asked.exclude) + len(acts.seen) > MOST_AT_ONCE
        answer: Answer = await self._scored(loaded, partial(users_list, loaded, user_id, asked, acts), is_long)
        list_id = uuid.uuid4().hex
        if loaded.role == "champion":
            pointers = loaded.recommender.bundle.histories.indptr
            self.monitoring.drift.users.append(-1 if code is None else int(pointers[code + 1] - pointers[code]))
            if self.settings.shadow and asked.model is None:
                self.shadow.ask(user_id, asked, acts, list_id, self.clock(), answer)
        reason = "unknown_user" if code is None else "not_served"
        return self._shown(loaded, answer, reason, user_id, list_id, facts) | {"recent_items": len(acts.seen)}

    async def fold_in(self, asked: FoldIn, facts: Facts) -> dict[str, Any]:
        """A list for somebody who has the given items."""
        loaded = pick(self.settings, self.models, asked.model, asked.user_id)
        given, acts = {one.item_id: one.rating for one in asked.items}, NOTHING
        if asked.user_id is not None:
            self._note_user(asked.user_id, facts)
            acts = self.recent.of(asked.user_id)
        taken = loaded.recommender.new_to(asked.user_id, acts.taken)
        ask = partial(
            loaded.recommender.fold_in,
            {**dict.fromkeys(taken), **given},
            asked.k,
            exclude=[*asked.exclude, *acts.seen],
            genre=asked.genre,
            explain=asked.explain,
            user_id=asked.user_id,
        )
        is_long = asked.explain or len(given) + len(asked.exclude) + len(acts.seen) > MOST_AT_ONCE
        answer: Answer = await self._scored(loaded, ask, is_long)
        nothing_known = len(answer.ignored_items) == len(given) and not taken
        reason = "no_known_items" if nothing_known else "cannot_fold_in"
        shown = self._shown(loaded, answer, reason, asked.user_id, uuid.uuid4().hex, facts)
        return shown | {"recent_items": len(acts.seen)}

    async def similar(self, item_id: str, k: int, role: Role | None) -> dict[str, Any]:
        """Items like an item."""
        loaded = pick(self.settings, self.models, role)
        answer: Answer | None = await self._scored(loaded, partial(loaded.recommender.similar, item_id, k))
        if answer is None:
            raise Problem(404, "the model does not know this item; /v1/items?q= finds items")
        return {"model": loaded.about, "items": [_listed(loaded, one) for one in answer.items]}

    def take(self, events: Sequence[Event]) -> int:
        """Queue events for the database; 503 when there is no room."""
        rows = [event_row(vars(one), self.clock()) for one in events]
        if not self.feedback.add("event", rows):
            wait = {"retry-after": "5"}
            raise Problem(503, "the queue for the database is full; send the events again later", headers=wait)
        self.recent.take(rows)
        for event, count in Counter(one.event for one in events).items():
            self.monitoring.feedback.labels(event).inc(count)
        return len(events)

    def said_by(self, user_id: str, facts: Facts) -> dict[str, Any]:
        """What a user said of items lately, the last first."""
        served = pick(self.settings, self.models, "champion").recommender
        self._note_user(user_id, facts)
        said = self.recent.of(user_id).said.items()
        names = ("item_id", "title", "event", "list_id")
        return {"items": [dict(zip(names, (item, served.title_of(item), *of_it))) for item, of_it in said]}

    def drain(self) -> None:
        """Be no longer ready, and answer on: the proxy is to send its requests elsewhere."""
        self.draining = True
        log("draining")

    def close(self) -> None:
        """End the threads, without waiting for one that hangs."""
        for pool in (self.pool, self.slow):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _scored(self, loaded: Loaded, ask: Callable[[], Any], is_long: bool = False) -> Any:
        """The answer of ``ask``, from a thread where it takes long enough to hold up other requests."""
        started = time.perf_counter()
        if is_long or loaded.recommender.bundle.n_items >= POOL_FROM:
            answer = await asyncio.get_running_loop().run_in_executor(self.slow if is_long else self.pool, ask)
        else:
            answer = ask()
        self.monitoring.scored(loaded.role, time.perf_counter() - started)
        return answer

    def _note_user(self, user_id: str, facts: Facts) -> None:
        """The log has the hash; the id goes along so that no traceback shows it."""
        facts["user"], facts[HIDDEN] = hashed(user_id, self.settings.log_salt), user_id

    def _shown(
        self, loaded: Loaded, answer: Answer, reason: str, user_id: str | None, list_id: str, facts: Facts
    ) -> dict[str, Any]:
        """The answer as it is sent, after it was counted and noted."""
        facts["model"], facts["version"], facts["source"] = loaded.role, loaded.version.number, answer.source
        facts["list_id"] = list_id
        items = [_listed(loaded, one) for one in answer.items]
        ids = [one["item_id"] for one in items]
        self.monitoring.listed(loaded.role, answer.source, reason)
        if loaded.role == "champion":
            codes = loaded.recommender.item_codes
            self.monitoring.drift.lists.append(np.array([codes[item] for item in ids], dtype=np.int32))
        row = impression_row(list_id, loaded.role, self.clock(), user_id, loaded.version, answer.source, ids)
        self.feedback.add("impression", [row])
        return {
            "list_id": list_id,
            "user_id": user_id,
            "model": loaded.about,
            "source": answer.source,
            "items": items,
            "exhausted": answer.exhausted,
            "ignored_items": [str(item) for item in answer.ignored_items],
        }


def _listed(loaded: Loaded, one: Listed) -> dict[str, Any]:
    served = loaded.recommender
    titles = served.bundle.titles
    return {
        "item_id": str(one.item_id),
        "title": one.title,
        "genres": one.genres,
        "score": one.score,
        "rank": one.rank,
        "because": [{"item_id": str(item), "title": titles[served.item_codes[str(item)]]} for item in one.because],
    }
