"""One download over https into the user's cache: verified, never half-written, one process at a time."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from recsys_lab.data.sources import Files, FolderFiles, Source, ZipFiles, verify

TIMEOUT_S = 30.0
CHUNK = 1 << 18  # bytes read at a time

logger = logging.getLogger(__name__)


class DownloadError(OSError):
    """The file could not be fetched, or what came is not what was published."""


def download(name: str, source: Source, folder: Path, licence: str = "") -> None:
    """Fetch the zip or the files of ``source`` into ``folder``, unless another process has just done so.

    All goes to a temporary place beside the target, is verified there, and is renamed as a whole. Raises DownloadError.
    """
    from filelock import FileLock

    single = "{file}" not in source.url
    target = folder / (f"{source.folders[0]}.zip" if single else source.folders[0])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{source.folders[0]}.lock"):
            if target.exists():
                return
            logger.info("downloading %s; licence: %s", name, licence or "see the publisher")
            _fetch_verified(source, target, single)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"cannot write to {folder}: {error}") from error


def _fetch_verified(source: Source, target: Path, single: bool) -> None:
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        if single:
            _fetch(source.url, partial / target.name)
            files: Files = ZipFiles(partial / target.name)
        else:
            for file in source.files:
                _fetch(source.url.format(file=file), partial / file)
            files = FolderFiles(partial)
        missing = [file for file in source.files if not files.has(file)]
        if missing:
            raise DownloadError(f"{source.url} has no file {', '.join(missing)}")
        verify(files, source)
        if single:
            os.replace(partial / target.name, target)
        else:
            partial.chmod(0o755)  # mkdtemp makes it private
            os.replace(partial, target)
    except ValueError as error:
        raise DownloadError(str(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch(url: str, target: Path) -> None:
    from tqdm.auto import tqdm

    request = urllib.request.Request(url, headers={"User-Agent": "recsys_lab"})
    received = 0
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, target.open("wb") as file:
            length = answer.headers.get("Content-Length")
            size = int(length) if length else None
            # disable=None: no bar where the output is not a terminal
            with tqdm(total=size, unit="B", unit_scale=True, desc=target.name, disable=None, leave=False) as bar:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    received += len(chunk)
                    bar.update(len(chunk))
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadError(f"{url} answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(f"{url} cannot be reached ({reason})") from error
    if size is not None and received != size:
        raise DownloadError(f"{url} broke off after {received:,} of {size:,} bytes; try again")
