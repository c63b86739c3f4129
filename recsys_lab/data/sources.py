"""Where the files of a data set are found: the folder named by RECSYS_LAB_DATA, the user's cache, one download."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import Protocol

import platformdirs


@dataclass(frozen=True)
class Source:
    """The files of a data set and where they come from.

    ``folders`` are the names its folder may have; the zip is called ``folders[0] + ".zip"``. ``url`` is the https
    address of that zip, or holds ``{file}`` when the files are published one by one, or is empty when the files cannot
    be downloaded. ``hashes`` maps a file, or "zip", to "sha256:..." or "md5:...". A zip with a known hash vouches for
    the files in it.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]
    url: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)


class Files(Protocol):
    """The files of one data set, in a folder or in a zip."""

    path: Path

    def has(self, name: str) -> bool: ...

    def open(self, name: str) -> BufferedIOBase: ...

    def stamp(self) -> list[tuple[str, int, int]]:
        """(path, bytes, modification time in ns) of all there is: another stamp means other data."""
        ...


class FolderFiles:
    """Files in an unpacked folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def open(self, name: str) -> BufferedIOBase:
        return (self.path / name).open("rb")

    def stamp(self) -> list[tuple[str, int, int]]:
        return [_stamp(path) for path in sorted(self.path.iterdir()) if path.is_file()]


class ZipFiles:
    """Files in a zip, at its root or in a folder inside. Nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                names = [info.filename for info in archive.infolist() if not info.is_dir()]
        except zipfile.BadZipFile as error:
            raise ValueError(f"{path} is not a complete zip file ({error}); put the whole file there") from error
        names.sort(key=lambda name: (name.count("/"), name))
        self._members: dict[str, str] = {}
        for name in names:
            self._members.setdefault(name.rsplit("/", 1)[-1], name)

    def has(self, name: str) -> bool:
        return name in self._members

    def open(self, name: str) -> BufferedIOBase:
        with zipfile.ZipFile(self.path) as archive:
            return io.BytesIO(archive.read(self._members[name]))

    def stamp(self) -> list[tuple[str, int, int]]:
        return [_stamp(self.path)]


def data_folder() -> Path | None:
    """The folder named by RECSYS_LAB_DATA, or None when it is not set."""
    named = os.environ.get("RECSYS_LAB_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(f"RECSYS_LAB_DATA is {named!r}, which is not a folder; name the folder of data sets")
    return folder.resolve()


def cache_folder() -> Path:
    """The user's cache of this project: RECSYS_LAB_CACHE, or the usual place of the operating system."""
    named = os.environ.get("RECSYS_LAB_CACHE")
    return Path(named).expanduser().resolve() if named else platformdirs.user_cache_path("recsys_lab")


def find_path(relative: str | Path) -> Path:
    """A file as given, else below RECSYS_LAB_DATA, else below the downloads in the cache.

    So an experiment may name ``gowalla/train.txt`` without a path of one machine.
    """
    tried = [Path(relative).expanduser()]
    if not tried[0].is_absolute():
        tried += [root / relative for root in _roots()]
    for path in tried:
        if path.is_file():
            return path
    places = ", ".join(str(path) for path in tried)
    unset = "" if data_folder() else "; RECSYS_LAB_DATA is not set"
    raise FileNotFoundError(f"no file {str(relative)!r}; looked for {places}{unset}")


def find_files(source: Source) -> Files | None:
    """The files where they already are, or None. A folder comes before a zip, RECSYS_LAB_DATA before the cache."""
    for root in _roots():
        for name in source.folders:
            folder = root if root.name == name else root / name
            if folder.is_dir() and all((folder / file).is_file() for file in source.files):
                return FolderFiles(folder)
        for name in source.folders:
            archive = root / f"{name}.zip"
            if archive.is_file():
                files = ZipFiles(archive)
                missing = [file for file in source.files if not files.has(file)]
                if missing:
                    raise FileNotFoundError(f"{archive} has no file {', '.join(missing)}; put the published zip there")
                return files
    return None


def get_files(name: str, source: Source, licence: str = "") -> Files:
    """The files of data set ``name``: where they are, or downloaded into the cache and verified.

    Raises FileNotFoundError which says which file to put where, when they are nowhere and cannot be fetched.
    """
    found = find_files(source)
    if found is not None:
        return found
    if not source.url:
        raise FileNotFoundError(f"data set {name!r} is not on this machine, and it has no download. {_advice(source)}")
    from recsys_lab.data.download import DownloadError, download

    try:
        download(name, source, cache_folder() / "downloads", licence)
    except DownloadError as error:
        raise FileNotFoundError(
            f"data set {name!r} is not on this machine, and the download failed: {error}. {_advice(source)}"
        ) from error
    found = find_files(source)
    if found is None:
        raise FileNotFoundError(f"data set {name!r}: the download lacks {', '.join(source.files)}. {_advice(source)}")
    return found


def verify(files: Files, source: Source) -> dict[str, str]:
    """Sha256 of each file in ``source.files``; ValueError when a published hash does not agree."""
    sealed = isinstance(files, ZipFiles) and "zip" in source.hashes
    if sealed:
        with files.path.open("rb") as handle:
            _compare(files.path, source.hashes["zip"], handle)
    found = {}
    for name in source.files:
        if name in source.hashes and not sealed and not source.hashes[name].startswith("sha256:"):
            with files.open(name) as handle:
                _compare(files.path / name, source.hashes[name], handle)
        with files.open(name) as handle:
            found[name] = hashlib.file_digest(handle, "sha256").hexdigest()
        expected = source.hashes.get(name, "")
        if not sealed and expected.startswith("sha256:") and expected != f"sha256:{found[name]}":
            raise ValueError(_mismatch(files.path / name, expected, f"sha256:{found[name]}"))
    return found


def _compare(path: Path, expected: str, handle: BufferedIOBase) -> None:
    algorithm = expected.split(":", 1)[0]
    found = f"{algorithm}:{hashlib.file_digest(handle, algorithm).hexdigest()}"
    if found != expected:
        raise ValueError(_mismatch(path, expected, found))


def _mismatch(path: Path, expected: str, found: str) -> str:
    return (
        f"{path} is not the published file: its hash is {found}, expected {expected}. "
        "Altered copies are common; replace it by the file of the publisher"
    )


def _roots() -> list[Path]:
    named = data_folder()
    return [*([named] if named else []), cache_folder() / "downloads"]


def _stamp(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def _advice(source: Source) -> str:
    named = os.environ.get("RECSYS_LAB_DATA")
    place = f"{named} (RECSYS_LAB_DATA)" if named else "a folder and name that folder in RECSYS_LAB_DATA (not set now)"
    archive = f" or {source.folders[0]}.zip" if "{file}" not in source.url and source.url else ""
    address = f" from {source.url.format(file=source.files[0])}" if source.url else ""
    return (
        f"Put the folder {source.folders[0]} (with {', '.join(source.files)}){archive}{address} into {place}, or into "
        f"{cache_folder() / 'downloads'}. The data sets synthetic-small, synthetic-100k and synthetic-1m need no files"
    )
