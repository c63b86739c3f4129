"""What users did lately, and how it acts on their next list before any model is trained again.

    like, click      the item leaves the list, and a model that folds in takes it as one that the user has
    view             the item leaves the list
    dislike          the item leaves the list, also where seen items stay
    retract          what was said of the item no longer counts

From this replica at once; what others wrote comes through the database within a second or two.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recsys_lab.serving.logs import log
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.schemas import SAID
from recsys_lab.serving.storage import SKEW, Database, Follower, hash_of

MOST_OF_ONE = 100  # items of a user that are remembered, the last ones
EVERY = 1.0  # seconds between two looks into the database


@dataclass(frozen=True)
class Acts:
    """Items of one user, by what became of them; the last first."""

    taken: tuple[str, ...] = ()  # liked or clicked, and not disliked since
    seen: tuple[str, ...] = ()  # whatever was done with them
    disliked: tuple[str, ...] = ()
    said: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)  # item -> like or dislike, of which list

    def __bool__(self) -> bool:
        return bool(self.seen or self.disliked)


NOTHING = Acts()


@dataclass(slots=True)
class _Item:
    said: str = ""
    list_id: str | None = None  # that the item stood in when it was said
    at: float = 0.0  # Unix seconds of what was said
    clicked: bool = False
    viewed: bool = False
    last: float = 0.0  # Unix seconds of the last event


class Recent:
    """The last ``most`` pairs of a user and an item, over all users; who did something last is kept longest."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._users: OrderedDict[str, OrderedDict[str, _Item]] = OrderedDict()
        self._n_pairs = 0
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return self._n_pairs

    def note(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take over events (user_id, item_id, event, ts, list_id), in any order and as often as they come."""
        if not self.most:
            return
        with self._changing:
            for one in events:
                self._note(one["user_id"], one["item_id"], one["event"], one["ts"], one.get("list_id"))
            while self._n_pairs > self.most:
                _, items = self._users.popitem(last=False)
                self._n_pairs -= len(items)

    def of(self, user_id: str) -> Acts:
        """What a user did."""
        if user_id not in self._users:  # most users; without waiting for anybody
            return NOTHING
        with self._changing:
            items = list(self._users.get(user_id, {}).items())[::-1]
            return Acts(
                taken=tuple(name for name, one in items if one.said == "like" or (one.clicked and not one.said)),
                seen=tuple(name for name, one in items if one.said or one.clicked or one.viewed),
                disliked=tuple(name for name, one in items if one.said == "dislike"),
                said={name: (one.said, one.list_id) for name, one in items if one.said},
            )

    def forget(self, until: Mapping[str, float]) -> None:
        """Know nothing any more of what users did until then: ``storage.hash_of`` the user -> Unix seconds."""
        with self._changing:
            for user in list(self._users) if until else ():
                limit, items = until.get(hash_of(user), float("-inf")), self._users[user]
                kept = OrderedDict((name, one) for name, one in items.items() if one.last > limit)
                self._n_pairs += len(kept) - len(items)
                self._users[user] = kept
                if not kept:
                    del self._users[user]

    def _note(self, user: str, name: str, event: str, at: float, list_id: str | None) -> None:
        items = self._users.setdefault(user, OrderedDict())
        self._users.move_to_end(user)
        self._n_pairs -= len(items)
        item = items.setdefault(name, _Item())
        items.move_to_end(name)
        item.last = max(item.last, at)
        if event in SAID:
            if at >= item.at:
                item.said, item.at, item.list_id = "" if event == "retract" else event, at, list_id
        elif event == "click":
            item.clicked = True
        else:
            item.viewed = True
        while len(items) > MOST_OF_ONE:
            items.popitem(last=False)
        self._n_pairs += len(items)


class Follow:
    """Takes what any replica wrote into ``recent``, in a thread."""

    def __init__(self, database: Database, recent: Recent, monitoring: Monitoring) -> None:
        self.database, self.recent, self.monitoring = database, recent, monitoring
        self._follower = Follower(database, newest=max(recent.most, 1))
        self._forgotten = 0.0  # the last time up to which a user is forgotten, of those that were seen
        self._reads = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recent", daemon=True)
        monitoring.recent.set_function(recent.__len__)

    def start(self) -> None:
        """Begin, unless nothing is to be remembered."""
        if self.recent.most:
            self._thread.start()

    def close(self) -> None:
        """Stop, without waiting for a database that hangs."""
        self._stop.set()
        self.database.lines.cut()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self.database.close()

    def look(self) -> None:
        """Read once what is new. Raises SQLAlchemy's errors."""
        for page in self._follower.pages():
            self.recent.note(page)
        forgotten = self.database.forgotten_since(self._forgotten - SKEW)
        self.recent.forget(forgotten)
        self._forgotten = max([self._forgotten, *forgotten.values()])
        self.monitoring.followed.set_to_current_time()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
                self._reads = True
            except Exception as error:  # the thread must outlive every database; the writer says what is wrong with it
                if self._reads and not self._stop.is_set():
                    log("feedback of other replicas cannot be read", level=logging.WARNING, reason=type(error).__name__)
                self._reads = False
            self._stop.wait(EVERY)
