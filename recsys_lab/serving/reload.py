"""Watching the registry: a pinned version or an alias, else the copy on disk; a broken version is never swapped in."""

from __future__ import annotations

import logging
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from recsys_lab.serving import model_store
from recsys_lab.serving.copies import Copies
from recsys_lab.serving.logs import log
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.models import Models, open_model
from recsys_lab.serving.schemas import Role
from recsys_lab.serving.settings import Settings


class Watcher:
    """Keeps ``models`` what the registry says. ``check`` is one look; ``start`` looks again and again in a thread.

    ``rehearse`` gets the folder of a new version before this process loads it, and raises what is wrong with it;
    ``after_loading`` is called by the thread when another model answers.
    """

    def __init__(self, settings: Settings, models: Models) -> None:
        self.rehearse: Callable[[Path, tuple[str, ...]], None] = lambda folder, own_modules: None
        self.after_loading: Callable[[], None] = lambda: None
        self.settings, self.models, self.monitoring = settings, models, models.monitoring
        self.copies = Copies(settings.bundle_dir)
        self._rejected: dict[Role, Version] = {}
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)

    def start(self) -> None:
        """Load and watch in the background: a replica is alive at once and ready when it has a model."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching; a call of the registry that hangs ends with the process."""
        self._stop.set()
        self._thread.join(1)

    def check(self) -> bool:
        """Look once for both roles, and load what is new; whether another model answers now."""
        with self._looking:  # two looks at once would load one version twice
            return self._check()

    def _check(self) -> bool:
        pinned = self.settings.model_version
        champion, challenger = self.models.champion, self.models.challenger
        if not pinned or champion is None or champion.version.number != pinned:
            self._check_role("champion", pinned or self.settings.alias)
        if self.settings.challenger and self.settings.challenger != self.settings.alias:
            self._check_role("challenger", self.settings.challenger)
        return self.models.champion is not champion or self.models.challenger is not challenger

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                if self.check():
                    self.after_loading()
            except Exception as error:  # the thread must outlive every registry and disk
                log("looking for models failed", level=logging.ERROR, error=error)
            self._stop.wait(self.settings.poll_seconds * random.uniform(0.8, 1.2))

    def _check_role(self, role: Role, wanted: str) -> None:
        now = self.models.of(role)
        try:
            version = model_store.version_of(self.settings.registry_uri, self.settings.model, wanted)
        except Exception as error:
            self.monitoring.reloads.labels("failed").inc()
            if not self.models.stale[role]:
                log("the registry does not answer", level=logging.WARNING, role=role, reason=_reason(error))
            self.models.set_stale(role, True)
        else:
            self.monitoring.contact.set_to_current_time()
            if version is None and role == "challenger":
                self.models.drop(role)
                self.copies.forget(role)
                return
            if version is None or _same(version, self._rejected.get(role)):
                self.models.set_stale(role, now is not None)
            else:
                if now is None:  # while the new version is fetched and tried, or in its stead
                    self._load_copy(role, wanted)
                if not self._answers(role, version):
                    self._load(role, version)
        if self.models.of(role) is None:
            self._load_copy(role, wanted)

    def _answers(self, role: Role, version: Version) -> bool:
        """Whether ``version`` is what answers already, from its copy on this disk."""
        now = self.models.of(role)
        if now is None or not _same(version, now.version):
            return False
        self.models.set_stale(role, False)
        return True

    def _load(self, role: Role, version: Version) -> None:
        """Fetch, load beside the one that answers, try, swap."""
        settings = self.settings
        place = self.copies.place(role, version)
        try:
            model_store.fetch_bundle(settings.registry_uri, version, place, settings.max_bundle_bytes)
            self.rehearse(place, settings.own_modules)
            loaded = open_model(role, version, place, settings.own_modules)
        except Exception as error:
            broken = place.is_dir() or isinstance(error, ValueError)
            shutil.rmtree(place, ignore_errors=True)
            self._failed(role, version, error, broken)
            return
        self.models.swap(loaded)
        self.models.set_stale(role, False)
        try:
            self.copies.remember(role, version, place)
        except OSError as error:  # it answers all the same; a start without the registry begins with an older one
            log("a version cannot be kept on this disk", level=logging.ERROR, error=error, role=role)

    def _failed(self, role: Role, version: Version, error: Exception, broken: bool) -> None:
        """Note what went wrong. A broken version is not tried again; a network or a disk may be better next time."""
        if broken:
            self._rejected[role] = version
        message = "a version is broken and not taken" if broken else "a version cannot be fetched"
        self.monitoring.reloads.labels("rejected" if broken else "failed").inc()
        log(message, level=logging.ERROR, error=error, role=role, version=version.number)
        self.models.set_stale(role, self.models.of(role) is not None)

    def _load_copy(self, role: Role, wanted: str) -> None:
        """The last good version on this disk; stale, unless it is the very number that is pinned."""
        pinned = wanted.isdigit()
        for place, version in self.copies.good(role):
            if version.name != self.settings.model or (pinned and version.number != wanted):
                continue
            try:
                self.models.swap(open_model(role, version, place, self.settings.own_modules))
            except Exception as error:
                log("a copy on disk is broken", level=logging.ERROR, error=error, role=role, version=version.number)
                continue
            self.models.set_stale(role, not pinned)
            return


def _reason(error: Exception) -> str:
    """The kind of an error, with the status of HTTP: its words may hold a password."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if isinstance(code, int) else type(error).__name__


def _same(version: Version, other: Version | None) -> bool:
    """Whether two are one version; tags may differ, as moving an alias writes one."""
    if other is None:
        return False
    return (version.name, version.number, version.source) == (other.name, other.number, other.source)
