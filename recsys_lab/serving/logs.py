"""Logs as JSON lines on standard output. User ids leave this process only as salted hashes."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import time
from collections.abc import Collection
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import orjson

SHORTEST_SECRET = 4  # shorter ones are parts of words
HIDDEN = "hidden"  # among the facts of a request: the user's id, which is never logged
LOGGER = logging.getLogger("recsys_lab.serving")


class JsonLines(logging.Formatter):
    """One JSON object a line; what is passed as ``extra={"fields": {...}}`` stands beside time, level and message.

    ``secrets`` are left out, as they are and as addresses and Python's messages write them.
    """

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__()
        forms = (str, repr, quote, quote_plus, partial(quote, safe=""), unquote)
        written = {form(secret).strip("'\"") for secret in secrets for form in forms}
        found = {json.dumps(text, ensure_ascii=False)[1:-1] for text in written}
        self._secrets = sorted((text for text in found if len(text) >= SHORTEST_SECRET), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The line of ``record``."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = without(self.formatException(record.exc_info), getattr(record, "hide", ()))
        try:
            text = orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # half of a surrogate pair, in what somebody sent
            text = json.dumps(line, default=str)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def set_up(stream: Any = None, secrets: Collection[str] = ()) -> None:
    """Send the service's log, and warnings of everything else, to ``stream`` (standard output) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.INFO)


def log(
    message: str,
    *,
    level: int = logging.INFO,
    error: BaseException | None = None,
    hide: Collection[str] = (),
    **fields: Any,
) -> None:
    """One line; ``error`` adds its traceback, in which the texts to ``hide`` are left out."""
    if LOGGER.isEnabledFor(level):
        raised = (type(error), error, error.__traceback__) if error is not None else None
        record = logging.LogRecord(LOGGER.name, level, "", 0, message, (), raised)  # nobody reads from which line
        record.fields, record.hide = fields, hide
        LOGGER.handle(record)


def without(traceback: str, hide: Collection[str]) -> str:
    """``traceback`` with "[user]" for each whole word to ``hide``; places in files are kept."""
    words = [re.escape(word) for word in sorted(hide, key=len, reverse=True) if word]
    if not words:
        return traceback
    found = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)")
    lines = traceback.split("\n")
    return "\n".join(line if line.startswith('  File "') else found.sub("[user]", line) for line in lines)


def hashed(user_id: str, salt: str) -> str:
    """A user id that can be followed through the log and not be read from it."""
    return hashlib.blake2b(user_id.encode("utf-8", "replace"), key=salt.encode()[:64], digest_size=8).hexdigest()
