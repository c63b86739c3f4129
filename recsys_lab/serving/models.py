"""The models that answer, one for each role, and the trial that a version passes before it does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsys_lab.serving.bundle import load_bundle
from recsys_lab.serving.logs import log
from recsys_lab.serving.model_store import Version
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.recommender import Recommender, prepare
from recsys_lab.serving.schemas import Role
from recsys_lab.serving.trial import require_trial


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model that answers."""

    role: Role
    version: Version
    recommender: Recommender
    manifest: dict[str, Any]
    loaded_at: float  # Unix seconds
    about: dict[str, str] = field(init=False)  # what every answer says of its model

    def __post_init__(self) -> None:
        algorithm = str(self.manifest["algorithm"])
        about = {"name": self.version.name, "version": self.version.number, "algorithm": algorithm, "role": self.role}
        object.__setattr__(self, "about", about)


class Models:
    """The champion and the challenger. A request reads an attribute, once; the reloading thread assigns it."""

    def __init__(self, monitoring: Monitoring) -> None:
        self.monitoring = monitoring
        self.champion: Loaded | None = None
        self.challenger: Loaded | None = None
        self.stale: dict[Role, bool] = {"champion": False, "challenger": False}

    def of(self, role: Role) -> Loaded | None:
        """The model in ``role``."""
        return self.champion if role == "champion" else self.challenger

    def swap(self, loaded: Loaded) -> None:
        """Let ``loaded`` answer in its role from now on; requests under way end with the model they have."""
        before = self.of(loaded.role)
        setattr(self, loaded.role, loaded)
        if loaded.role == "champion":
            self.monitoring.drift.reset(loaded.recommender.bundle)
        about = loaded.about
        self.monitoring.model(about["role"], about["name"], about["version"], about["algorithm"], loaded.loaded_at)
        self.monitoring.reloads.labels("loaded").inc()
        fields: dict[str, Any] = {**about, "before": before.version.number if before else None}
        log("model loaded", **fields)

    def drop(self, role: Role) -> None:
        """Let nothing answer in ``role``."""
        if self.of(role) is not None:
            setattr(self, role, None)
            self.monitoring.forget(role)
            log("no model in this role any more", role=role)
        self.set_stale(role, False)

    def set_stale(self, role: Role, stale: bool) -> None:
        """Say whether the registry may know a newer version."""
        self.stale[role] = stale
        self.monitoring.stale.labels(role).set(stale)


def open_model(role: Role, version: Version, folder: Path, own_modules: tuple[str, ...]) -> Loaded:
    """The bundle in ``folder``, loaded and tried. Raises what is wrong with it."""
    try:
        bundle, manifest = load_bundle(folder, own_modules=own_modules)
        recommender = Recommender(bundle)
        require_trial(recommender, manifest["trial"])
        prepare(recommender)
    except ModuleNotFoundError as error:
        right = "install it, in an image by its build argument EXTRAS (docs/operations.md)"
        raise ImportError(
            f"the model needs the package {error.name}, which is not here; right would be to {right}"
        ) from error
    return Loaded(role, version, recommender, manifest, time.time())
