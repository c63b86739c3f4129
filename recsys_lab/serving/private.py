"""Files and folders that hold ids of people: for this user of the machine only, whatever the umask says."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from recsys_lab.serving.logs import log

FILE, FOLDER = 0o600, 0o700
PARTIAL = ".partial-"  # how the name of a file begins that is being written
BESIDE = ("", "-wal", "-shm", "-journal")  # files of one SQLite database
PATIENCE = 600.0  # seconds that whoever changes files of a folder waits for another process that does
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}  # the last: a folder, and NFS


def make_private_folder(folder: Path) -> None:
    """Make ``folder`` and what is missing above it; close one that is there already."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(FOLDER, exist_ok=True)
    close_to_others(folder)


def make_private_file(file: Path) -> None:
    """Make an empty file for SQLite, or close one that is there, with what SQLite keeps beside it.

    A folder that was there before stays as it is: it may be somebody's home. SQLite follows links, also those that name
    no file yet, and so does this.
    """
    file = Path(os.path.realpath(file))
    if not file.parent.exists():
        make_private_folder(file.parent)
    with suppress(FileExistsError):  # one that is there is not opened: its closing would end SQLite's locks on it
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE))
    for ending in BESIDE:
        beside = file.with_name(file.name + ending)
        if beside.exists():
            close_to_others(beside)


def close_to_others(path: Path) -> None:
    """Take away what others may do, and say so. A folder such as /tmp, which is for everybody, stays as it is."""
    found = stat.S_IMODE(path.stat().st_mode)
    mode = FOLDER if path.is_dir() else FILE
    if not found & ~mode or found & stat.S_ISVTX:
        return
    try:
        path.chmod(found & mode)
    except OSError as error:
        log("others may read this", level=logging.WARNING, path=str(path), mode=f"{found:o}", reason=error.strerror)
    else:
        log("others could read this; now they cannot", level=logging.WARNING, path=str(path), mode=f"{found:o}")


def is_regular(path: Path) -> bool:
    """Whether this is a file itself: no link to one, no folder, no pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def opened(file: Path, mode: str = "rb") -> BinaryIO:
    """A regular file, open. OSError for anything else: a link would lead elsewhere, a pipe would never end."""
    if not stat.S_ISREG(file.lstat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(file))
    more = os.O_NOFOLLOW | os.O_NONBLOCK
    return open(file, mode, opener=lambda name, flags: os.open(name, flags | more))  # type: ignore[return-value]


def take_lock(file: int | BinaryIO) -> bool:
    """Lock an open file until it is closed; False where there are no locks. BlockingIOError when it is taken."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise
    return True


@contextmanager
def only_writer(folder: Path) -> Iterator[bool]:
    """Nobody else is here who changes files in ``folder``; False where its file system has no locks.

    The folder is locked, because a file that is replaced takes its lock away with it. Waits for another process; raises
    TimeoutError when it takes too long.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until, waits = time.monotonic() + PATIENCE, False
        while True:
            try:
                locked = take_lock(descriptor)
                break
            except BlockingIOError:
                if not waits:
                    log(f"waiting for another process that changes files in {folder}", level=logging.WARNING)
                waits = True
                if time.monotonic() > until:
                    raise TimeoutError(f"another process has changed files in {folder} for {PATIENCE:g} s") from None
                time.sleep(0.02)
        if not locked:
            log(f"{folder} has no locks: let forget and export-feedback run one at a time", level=logging.WARNING)
        yield locked
    finally:
        os.close(descriptor)


@contextmanager
def written_privately(file: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes take the place of ``file`` when the block ends well and the disk has them."""
    partial = file.with_name(f"{PARTIAL}{file.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name is in the folder
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)
