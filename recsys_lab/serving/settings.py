"""The settings of a replica, read from the environment once, at the start. Every name stands here and nowhere else."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

PREFIX = "RECSYS_LAB_"
HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"  # what probes and Prometheus ask
MAX_BODY = 262_144  # bytes of a request's body: 1,000 events with UUIDs have 225,000
MAX_ID = 200  # characters of an id
MAX_K = 100
MAX_ITEMS = 500  # of a fold-in, and of exclude
MAX_EVENTS = 1000  # of one feedback request
# NAME_FILE may name a file that holds the value of NAME
SECRETS = ("API_KEY", "DATABASE_URL", "LOG_SALT", "REGISTRY_PASSWORD")
POOL_FROM = 10_000  # items from which scores are computed in the thread pool, so that the event loop stays free

_UNSHOWN = {*SECRETS, "REGISTRY_URI", "TRACING"}  # an address may have a password
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SECRET = re.compile("pass|pwd|key|token|secret", re.IGNORECASE)  # in names of parameters
_NOT_SHOWN = "not right, and not shown for a secret that it may hold (in which @ is written %40, and / %2F)"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a replica is told. ``from_environment`` names the variable of each field."""

    registry_uri: str = field(repr=False)  # of MLflow: http://host:5000 or sqlite:////path/mlflow.db
    registry_password: str = field(default="", repr=False)  # of MLFLOW_TRACKING_USERNAME
    bundle_dir: Path  # last good copies of the models, and feedback that no database took
    database_url: str = field(repr=False)  # of SQLAlchemy; default: feedback.db beside bundle_dir
    model: str = "recommender"
    alias: str = "champion"
    challenger: str = "challenger"
    model_version: str = ""  # a number: no alias is watched
    api_key: str = field(default="", repr=False)  # empty: /v1 is open
    poll_seconds: float = 15.0
    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()  # names that are answered where no key is set; "*": all
    queue_size: int = 10_000
    max_bundle_bytes: int = 1_000_000_000  # of a model that is fetched
    recent_items: int = 100_000  # pairs of a user and an item whose events act on lists; 0: none do
    retention_days: float = 0.0  # rows that are older are deleted; 0: kept for ever
    drain_seconds: float = 0.0  # answered on after SIGTERM, not ready, so that a proxy stops asking
    ab_share: float = 0.0  # of the users, answered by the challenger
    shadow: bool = False  # the challenger answers too, unseen
    own_modules: tuple[str, ...] = ()  # modules of own algorithms that a bundle may name
    log_salt: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    kernels: str = ""  # a folder of compiled kernels, copied to NUMBA_CACHE_DIR at the start
    tracing: str = field(default="", repr=False)  # "console", or the URL of an OTLP collector

    def secrets(self) -> set[str]:
        """What no log may show: the keys, and the passwords and tokens in addresses."""
        found = {self.api_key, self.log_salt, self.registry_password}
        for address in (self.database_url, self.registry_uri, self.tracing):
            whole, _, query = address.partition("://")[2].partition("?")
            found.add(whole.rpartition("@")[0].partition(":")[2])
            if _SECRET.search(query):
                found |= set(re.split("[&=]", query))
        return found - {""}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> Settings:
        """The settings in ``environ``; ``defaults`` stand in for variables that are missing or empty.

        ValueError, naming the variable, for a value that is not right and for a name that is a misspelt one.
        """
        names = {f"{name}_FILE" for name in SECRETS}
        environ = {**environ, **_from_files(environ)}

        def text(name: str, fallback: str = "") -> str:
            names.add(name)
            key = PREFIX + name
            return environ.get(key, "").strip() or (defaults or {}).get(key, "").strip() or fallback

        def read(name: str, fallback: str, convert: Callable[[str], T], right: str) -> T:
            given = text(name, fallback)
            try:
                return convert(given)
            except ValueError:
                shown = _NOT_SHOWN if name in _UNSHOWN else repr(given)
                raise ValueError(f"{PREFIX}{name} is {shown}; right would be {right}") from None

        bundle_dir = Path(read("BUNDLE_DIR", "", _given, "a folder this process may write to")).expanduser()
        beside = f"sqlite:///{bundle_dir.absolute().parent / 'feedback.db'}"
        found = cls(
            registry_uri=read("REGISTRY_URI", "", _registry, "http://host:5000 or sqlite:////path/mlflow.db"),
            registry_password=text("REGISTRY_PASSWORD"),
            bundle_dir=bundle_dir,
            database_url=read("DATABASE_URL", beside, _database, "sqlite:////path/file.db or postgresql+psycopg://..."),
            model=read("MODEL", "recommender", _name, "the name of a registered model"),
            alias=read("ALIAS", "champion", _name, "an alias of the registered model"),
            challenger=read("CHALLENGER", "challenger", _name, "an alias of the registered model"),
            model_version=read("MODEL_VERSION", "", _version, "a version number such as 3, or nothing"),
            api_key=text("API_KEY"),
            poll_seconds=read("POLL_SECONDS", "15", _between(0.05, 3600), "seconds between 0.05 and 3600"),
            host=text("HOST", "127.0.0.1"),
            port=int(read("PORT", "8000", _between(1, 65535, int), "a port from 1 to 65535")),
            hosts=read("HOSTS", "", _hosts, "names as in an address, without a port, with commas between, or *"),
            max_bundle_bytes=int(read("MAX_BUNDLE_BYTES", "1000000000", _between(1, 2**50, int), "bytes from 1 on")),
            queue_size=int(read("QUEUE_SIZE", "10000", _between(1, 10_000_000, int), "a whole number from 1 on")),
            recent_items=int(read("RECENT_ITEMS", "100000", _between(0, 10_000_000, int), "a whole number from 0 on")),
            retention_days=read("RETENTION_DAYS", "0", _between(0, 36500), "days from 0 on; 0 keeps rows for ever"),
            drain_seconds=read("DRAIN_SECONDS", "0", _between(0, 60), "seconds from 0 to 60"),
            ab_share=read("AB_SHARE", "0", _between(0, 1), "a share from 0 to 1"),
            shadow=read("SHADOW", "false", _flag, "true or false"),
            own_modules=read("OWN_MODULES", "", _modules, "names of modules, with commas between"),
            kernels=read("KERNELS", "", _folder, "a folder of kernels that Numba has compiled, or nothing"),
            tracing=read("TRACING", "", _tracing, "nothing, console, or http://collector:4318/v1/traces"),
            **({"log_salt": text("LOG_SALT")} if text("LOG_SALT") else {}),
        )
        _require_known(environ, names)
        return found


def _require_known(environ: Mapping[str, str], names: set[str]) -> None:
    """A misspelt API_KEY would open the service. Other names with the prefix are not ours: Kubernetes sets some."""
    for key in environ:
        name = key.removeprefix(PREFIX)
        if key == name or name in names:
            continue
        if near := get_close_matches(name, names, n=1, cutoff=0.72):
            raise ValueError(f"{key} is no setting; did you mean {PREFIX}{near[0]}?")


def _given(value: str) -> str:
    if not value:
        raise ValueError
    return value


def _folder(value: str) -> str:
    if value and not Path(value).is_dir():
        raise ValueError
    return value


def _registry(value: str) -> str:
    parts = urlsplit(value)
    is_server = parts.scheme in ("http", "https")
    if "://" not in value or (is_server and (not parts.hostname or parts.query or parts.fragment)):
        raise ValueError
    if parts.scheme != "sqlite":
        _require_whole(value, parts.netloc)
        _ = parts.port
    return value


def _database(value: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(value)
    except ArgumentError:
        raise ValueError from None
    kind = url.get_backend_name()
    if kind == "sqlite":  # one in memory would lose all; a relative path would be another file in another folder
        in_memory = url.query.get("mode") == "memory" or url.query.get("vfs") == "memdb"
        if url.host or in_memory or not (url.database or "").removeprefix("file:").startswith("/"):
            raise ValueError
    elif kind == "postgresql":
        _require_whole(value, value.partition("?")[0])
    else:
        raise ValueError
    return value


def _require_whole(address: str, part: str) -> None:
    """ValueError for an @ too much or out of place: a part of a password would be taken for a host, and be shown."""
    if address.count("@") > 1 or address.count("@") != part.count("@"):
        raise ValueError


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError
    return value


def _version(value: str) -> str:
    if value and not (value.isascii() and value.isdigit()):
        raise ValueError
    return value


def _between(low: float, high: float, kind: Callable[[str], float] = float) -> Callable[[str], float]:
    def convert(value: str) -> float:
        number = kind(value)
        if not low <= number <= high:  # NaN is not between
            raise ValueError
        return number

    return convert


def _flag(value: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if value.lower() not in known:
        raise ValueError
    return known[value.lower()]


def _modules(value: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in value.split(",") if part.strip())
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise ValueError
    return names


def _hosts(value: str) -> tuple[str, ...]:
    names = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if not all(name == "*" or _NAME.fullmatch(name) for name in names):
        raise ValueError
    return names


def _tracing(value: str) -> str:
    if value not in ("", "console") and not value.startswith(("http://", "https://")):
        raise ValueError
    return value


def _from_files(environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets that ``environ`` gives as files, by the names of their variables."""
    files = {PREFIX + name: environ.get(f"{PREFIX}{name}_FILE", "").strip() for name in SECRETS}
    return {name: _content(name, file, environ) for name, file in files.items() if file}


def _content(name: str, file: str, environ: Mapping[str, str]) -> str:
    if environ.get(name, "").strip():
        raise ValueError(f"{name} and {name}_FILE are both set; give one of them")
    right = "right is a file with the value"
    try:
        found = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: ~somebody has no home
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(f"{name}_FILE is not readable: {reason}; {right}") from None  # it may be the secret itself
    if not found:
        raise ValueError(f"{name}_FILE is the name of an empty file; {right}")
    return found
