"""The settings of the service as its commands read them: the lab's own registry and folder where none are named."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsys_lab.serving.settings import Settings

NEEDED = ("RECSYS_LAB_REGISTRY_URI", "RECSYS_LAB_BUNDLE_DIR")  # without defaults of their own


def read_settings(changes: Mapping[str, str | None] | None = None) -> tuple[Settings, bool]:
    """The settings of this environment, and whether the registry is the lab's own database."""
    from recsys_lab.serving.settings import Settings

    environ = {**os.environ, **{name: value for name, value in (changes or {}).items() if value}}
    defaults: dict[str, str] = {}
    if not all(environ.get(name) for name in NEEDED):
        from recsys_lab import tracking

        defaults = dict(zip(NEEDED, (tracking.tracking_uri(), str(tracking.home() / "serving")), strict=True))
    settings = Settings.from_environment(environ, defaults)
    return settings, not environ.get(NEEDED[0]) and settings.registry_uri.startswith("sqlite:")


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """What goes wrong with the database of this URL as an OSError of one line, without the password."""
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        where = sa.make_url(url).set(query={}).render_as_string(hide_password=True)
        said = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
        raise OSError(f"the database {where} cannot be used: {said[0]}") from error
