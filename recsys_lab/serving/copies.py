"""The copies of models on this disk, which a start without the registry begins with.

folder/champion/7-1f0c2b9e-.../   the bundle of a version
folder/champion.json              which of them was the last good one; replaced in one step
"""

from __future__ import annotations

import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import orjson

from recsys_lab.serving.model_store import Version
from recsys_lab.serving.schemas import Role

FRESH = 300.0  # seconds that a folder is left alone: a second process on this disk may have just written it


class Copies:
    """Bundles below ``folder``; the names of what is written there come from the registry's numbers only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, role: Role, version: Version) -> Path:
        """A new folder for a version, which does not exist yet."""
        return self.folder / role / f"{int(version.number)}-{time.time_ns():x}"

    def remember(self, role: Role, version: Version, place: Path) -> None:
        """Make ``place`` the last good copy, and remove the others, except what another process may be loading."""
        pointer = self._pointer(role)
        partial = pointer.with_name(f".{pointer.name}.{uuid.uuid4().hex}")
        partial.write_bytes(orjson.dumps({"version": asdict(version), "folder": place.name}))
        partial.replace(pointer)
        for other in (self.folder / role).iterdir():
            if other != place and not _is_fresh(other):
                shutil.rmtree(other, ignore_errors=True)

    def last(self, role: Role) -> tuple[Version, Path] | None:
        """The last good copy; None when there is none. Raises what is wrong with the pointer to it."""
        if not self._pointer(role).is_file():
            return None
        kept = orjson.loads(self._pointer(role).read_bytes())
        return Version(**kept["version"]), self.folder / role / Path(kept["folder"]).name

    def forget(self, role: Role) -> None:
        """Remove the copies of ``role``."""
        self._pointer(role).unlink(missing_ok=True)
        shutil.rmtree(self.folder / role, ignore_errors=True)

    def _pointer(self, role: Role) -> Path:
        return self.folder / f"{role}.json"


def _is_fresh(folder: Path) -> bool:
    with suppress(FileNotFoundError):  # the other process removed it
        return time.time() - folder.stat().st_ctime < FRESH  # of the rename; a copy keeps its source's mtime
    return False
