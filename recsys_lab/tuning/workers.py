"""Who works on a shared study, and whether it still lives: a worker holds a lock that the system frees when it dies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


@dataclass(frozen=True)
class Worker:
    """One participant of the studies in ``file``; without a file there are no others and nothing is locked."""

    file: Path | None
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Inside, this worker counts as alive."""
        if self.file is None:
            yield
            return
        path = self._path(self.name)
        with FileLock(path):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def is_dead(self, name: str) -> bool:
        """Whether the worker ``name`` has ended; "" is one that died before it could say its name."""
        if self.file is None or name == self.name:
            return False
        path = self._path(name or "nobody")
        if not path.is_file():
            return True
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
                return True
        except Timeout:
            return False

    def lock(self, name: str) -> AbstractContextManager[Any]:
        """A lock shared by all workers on ``file``."""
        return nullcontext() if self.file is None else FileLock(self._path(name))

    def _path(self, name: str) -> Path:
        assert self.file is not None
        folder = self.file.with_name(f"{self.file.name}.locks")
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.lock"
