"""The JSON schema of a card, and the check against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def schema() -> dict[str, Any]:
    """The schema as it stands in the package (JSON Schema 2020-12)."""
    found: dict[str, Any] = json.loads(
        resources.files("recsys_lab.card").joinpath("schema.json").read_text(encoding="utf-8")
    )
    return found


def check_card(card: Mapping[str, Any]) -> None:
    """Raise ValueError that names each field which is missing, unknown or of the wrong kind."""
    import jsonschema

    errors = sorted(jsonschema.Draft202012Validator(schema()).iter_errors(card), key=lambda error: list(error.path))
    if errors:
        lines = [f"{'.'.join(map(str, error.path)) or 'the card'}: {error.message:.200}" for error in errors]
        raise ValueError("no evaluation card: " + "; ".join(lines))
