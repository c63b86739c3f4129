"""Which models still hold a person: those behind the aliases, and the copies of a replica."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import load_bundle
from recsys_lab.serving.settings import Settings


@dataclass(frozen=True)
class Looked:
    """One look at a model. ``problem``: why it could not be read."""

    where: str  # "version 3 (champion)", or the folder of a copy
    holds: bool = False
    problem: str = ""


def models_holding(settings: Settings, user_id: str, *, ask_registry: bool = True) -> list[Looked]:
    """The models that know ``user_id``, and those that could not be read."""
    places = [_copy(folder, settings, user_id) for folder in _copies(settings.bundle_dir)]
    if ask_registry:
        names = [settings.model_version] if settings.model_version else [settings.alias, settings.challenger]
        places += [_version(settings, name, user_id) for name in names]
    return [one for one in places if one.holds or one.problem]


def _copies(bundle_dir: Path) -> Iterator[Path]:
    for role in ("champion", "challenger"):
        yield from sorted(path.parent for path in (bundle_dir / role).glob("*/manifest.json"))


def _copy(folder: Path, settings: Settings, user_id: str) -> Looked:
    try:
        return Looked(f"the copy {folder}", _knows(folder, settings, user_id))
    except Exception as error:  # of any kind: a bundle is somebody else's file, and its classes may be missing here
        return Looked(f"the copy {folder}", problem=f"{type(error).__name__}: {error}")


def _version(settings: Settings, wanted: str, user_id: str) -> Looked:
    where = f"{settings.model} ({wanted})"
    try:
        version = model_store.version_of(settings.registry_uri, settings.model, wanted)
        if version is None:
            return Looked(where)
        where = f"version {version.number} of {settings.model} ({wanted})"
        with tempfile.TemporaryDirectory(prefix="recsys_lab_") as folder:
            place = model_store.fetch_bundle(
                settings.registry_uri, version, Path(folder) / "bundle", settings.max_bundle_bytes
            )
            return Looked(where, _knows(place, settings, user_id))
    except Exception as error:
        return Looked(where, problem=f"{type(error).__name__}: {error}")


def _knows(folder: Path, settings: Settings, user_id: str) -> bool:
    bundle, _ = load_bundle(folder, own_modules=settings.own_modules)
    return any(str(user) == user_id for user in bundle.user_ids)
