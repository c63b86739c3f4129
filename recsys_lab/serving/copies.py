"""The copies of models on this disk, which a start without the registry begins with.

folder/champion/7-1f0c2b9e-.../                the bundle of a version
folder/champion/7-1f0c2b9e-.../version.json    written when it has passed its trial: which version it is
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import orjson

from recsys_lab.serving.model_store import Version
from recsys_lab.serving.schemas import Role

KEPT = 3  # good copies of a role: where the newest is damaged, the one before it answers
FRESH = 300.0  # seconds that a folder without a version is left alone: another process on this disk may be loading it
PASSED = "version.json"


class Copies:
    """Bundles below ``folder``; the names of what is written there come from the registry's numbers only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, role: Role, version: Version) -> Path:
        """A new folder for a version, which does not exist yet."""
        return self.folder / role / f"{int(version.number)}-{time.time_ns():x}"

    def remember(self, role: Role, version: Version, place: Path) -> None:
        """Make ``place`` the last good copy, and remove all but the last few."""
        partial = place / f".{PASSED}.{uuid.uuid4().hex}"
        partial.write_bytes(orjson.dumps(asdict(version)))
        partial.replace(place / PASSED)
        good = [one for one, _ in self.good(role)]
        for other in (self.folder / role).iterdir():
            if other not in good[:KEPT] and (other in good or not _is_fresh(other)):
                shutil.rmtree(other, ignore_errors=True)

    def good(self, role: Role) -> Iterator[tuple[Path, Version]]:
        """The copies that have passed their trial, the last one first."""
        places = self.folder.joinpath(role).glob(f"*/{PASSED}")
        for file in sorted(places, key=lambda file: file.parent.name.rpartition("-")[2], reverse=True):
            with suppress(OSError, ValueError, TypeError):  # torn, or removed by another process
                yield file.parent, Version(**orjson.loads(file.read_bytes()))

    def forget(self, role: Role) -> None:
        """Remove the copies of ``role``."""
        shutil.rmtree(self.folder / role, ignore_errors=True)


def _is_fresh(folder: Path) -> bool:
    with suppress(FileNotFoundError):  # the other process removed it
        return time.time() - folder.stat().st_ctime < FRESH  # of the rename; a copy keeps its source's mtime
    return False
