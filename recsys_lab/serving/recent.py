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
from sys import getsizeof, intern
from typing import Any

from recsys_lab.serving.logs import log
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.schemas import SAID
from recsys_lab.serving.settings import MAX_EVENTS
from recsys_lab.serving.storage import SKEW, Database, Follower, hash_of

MOST_OF_ONE = 100  # items of a user that are remembered, the last ones
MOST_EVENTS = MAX_EVENTS  # of a user that are known again: as many as a request has, which may be sent again
BYTES = 500  # that a pair may take, on average
USER, PAIR = 400, 200  # bytes that a user and a pair take, without their ids
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
    by: bytes = b""  # the event that said it
    clicked: bool = False
    viewed: bool = False
    last: float = 0.0  # Unix seconds of the last event

    def note(self, event: bytes, row: Mapping[str, Any]) -> None:
        """Take over an event. One that is known already has the time of ``row`` from now on."""
        kind, at = row["event"], row["ts"]
        self.last = max(self.last, at)
        if kind in SAID:
            if at >= self.at or event == self.by:
                self.said, self.list_id = "" if kind == "retract" else intern(kind), row.get("list_id")
                self.at, self.by = at, event
        elif kind == "click":
            self.clicked = True
        else:
            self.viewed = True


class _User:
    """What one user did with the last items, and which events said it."""

    __slots__ = ("events", "hashed", "items", "size")

    def __init__(self, name: str) -> None:
        self.hashed = hash_of(name)  # by which a forgotten user is known: asked every second
        self.items: dict[str, _Item] = {}  # the last one last
        self.events = b""  # hashes of those that were noted, the last one last
        self.size = USER  # bytes, about

    def note(self, event: bytes, row: Mapping[str, Any], *, again: bool, most: int) -> None:
        """Take over an event; ``again``: also one that is known. At most ``most`` items stay."""
        is_known = event in self.events
        if is_known and not again:
            return
        if not is_known:
            self.size -= len(self.events)
            self.events = (self.events + event)[-len(event) * MOST_EVENTS :]
            self.size += len(self.events)
        item = self.remove(row["item_id"]) or _Item()
        item.note(event, row)
        self.items[row["item_id"]] = item
        self.size += _size(row["item_id"], item)
        while len(self.items) > most:
            self.remove(next(iter(self.items)))

    def remove(self, name: str) -> _Item | None:
        """Leave an item out; it, where it was there."""
        item = self.items.pop(name, None)
        if item is not None:
            self.size -= _size(name, item)
        return item


def _size(name: str, item: _Item) -> int:
    return PAIR + getsizeof(name) + getsizeof(item.list_id)


class Recent:
    """The last ``most`` pairs of a user and an item, over all users; who did something last is kept longest.

    Fewer where they take more than ``BYTES`` each, as with long ids.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.n_bytes = 0  # that it takes, about
        self._users: OrderedDict[str, _User] = OrderedDict()
        self._n_pairs = 0
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return self._n_pairs

    def take(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Note what clients sent (rows of the table feedback); an event that was noted before does not act again."""
        self._note_all(events, again=False)

    def note(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Note rows of the database, in any order and as often as they come.

        Where a client sent an event to two replicas, its time is the one that the database has.
        """
        self._note_all(events, again=True)

    def of(self, user_id: str) -> Acts:
        """What a user did."""
        if user_id not in self._users:  # most users; without waiting for anybody
            return NOTHING
        with self._changing:
            user = self._users.get(user_id)
            items = list(user.items.items())[::-1] if user else []
            return Acts(
                taken=tuple(name for name, one in items if one.said == "like" or (one.clicked and not one.said)),
                seen=tuple(name for name, one in items if one.said or one.clicked or one.viewed),
                disliked=tuple(name for name, one in items if one.said == "dislike"),
                said={name: (one.said, one.list_id) for name, one in items if one.said},
            )

    def forget(self, until: Mapping[str, float]) -> None:
        """Know nothing any more of what users did until then: ``storage.hash_of`` the user -> Unix seconds."""
        with self._changing:
            for name, user in list(self._users.items()) if until else ():
                limit = until.get(user.hashed)
                if limit is None:
                    continue
                before = len(user.items), user.size
                for item in [item for item, one in user.items.items() if one.last <= limit]:
                    user.remove(item)
                self._count(user, before)
                if not user.items:
                    self._remove(name)

    def _note_all(self, events: Iterable[Mapping[str, Any]], *, again: bool) -> None:
        most_of_one = min(MOST_OF_ONE, self.most)
        with self._changing:
            for row in events if self.most else ():
                name, event = row["user_id"], hash(row["event_id"]).to_bytes(8, "little", signed=True)
                user = self._users.get(name)
                if user is None:
                    user = self._users[name] = _User(name)
                    self.n_bytes += getsizeof(name) + user.size
                before = len(user.items), user.size
                user.note(event, row, again=again, most=most_of_one)
                self._count(user, before)
                self._users.move_to_end(name)
                while len(self._users) > 1 and (self._n_pairs > self.most or self.n_bytes > self.most * BYTES):
                    self._remove(next(iter(self._users)))

    def _count(self, user: _User, before: tuple[int, int]) -> None:
        self._n_pairs += len(user.items) - before[0]
        self.n_bytes += user.size - before[1]

    def _remove(self, name: str) -> None:
        user = self._users.pop(name)
        self._n_pairs -= len(user.items)
        self.n_bytes -= getsizeof(name) + user.size


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
