"""Settings from the environment: each name, its default, and errors that say what would be right."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.serving.settings import Settings

LEAST = {
    "RECSYS_LAB_REGISTRY_URI": "http://mlflow:5000",
    "RECSYS_LAB_BUNDLE_DIR": "/bundles",
    "RECSYS_LAB_DATABASE_URL": "sqlite:////data/feedback.db",
}


def test_defaults() -> None:
    found = Settings.from_environment(LEAST)
    assert (found.model, found.alias, found.challenger, found.model_version) == (
        "recommender",
        "champion",
        "challenger",
        "",
    )
    assert (found.host, found.port, found.poll_seconds, found.queue_size) == ("127.0.0.1", 8000, 15.0, 10_000)
    assert found.drain_seconds == 0.0
    assert (found.api_key, found.ab_share, found.shadow, found.own_modules, found.tracing) == ("", 0.0, False, (), "")
    assert found.bundle_dir == Path("/bundles")
    assert len(found.log_salt) == 32
    assert found.log_salt != Settings.from_environment(LEAST).log_salt


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MODEL", "films", "films"),
        ("ALIAS", "blue", "blue"),
        ("CHALLENGER", "green", "green"),
        ("MODEL_VERSION", "12", "12"),
        ("API_KEY", "s3cret", "s3cret"),
        ("POLL_SECONDS", "0.5", 0.5),
        ("HOST", "0.0.0.0", "0.0.0.0"),
        ("PORT", "80", 80),
        ("HOSTS", "films.example, Here,*", ("films.example", "here", "*")),
        ("QUEUE_SIZE", "5", 5),
        ("DRAIN_SECONDS", "2.5", 2.5),
        ("AB_SHARE", "0.25", 0.25),
        ("SHADOW", "true", True),
        ("OWN_MODULES", "mine, their.module", ("mine", "their.module")),
        ("LOG_SALT", "salt", "salt"),
        ("REGISTRY_PASSWORD", "secret", "secret"),
        ("KERNELS", "/", "/"),
        ("TRACING", "console", "console"),
    ],
)
def test_every_name(name: str, text: str, value: Any) -> None:
    found = Settings.from_environment({**LEAST, f"RECSYS_LAB_{name}": f" {text} "})
    assert getattr(found, name.lower()) == value
    assert name.lower() in {field.name for field in fields(Settings)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("REGISTRY_URI", "mlflow"),
        ("REGISTRY_URI", "http://"),
        ("REGISTRY_URI", "http://mlflow:port"),
        ("REGISTRY_URI", "http://me:a/b@mlflow:5000"),
        ("REGISTRY_URI", "http://me:a@b@mlflow:5000"),
        ("REGISTRY_URI", "http://[::1"),
        ("DATABASE_URL", "feedback.db"),
        ("DATABASE_URL", "postgresql+psycopg://me:a@b@host/db"),
        ("DATABASE_URL", "postgresql+psycopg://me:a?b@host/db"),
        ("DATABASE_URL", "postgresql+psycopg://host:port/db"),
        ("DATABASE_URL", "mysql://host/db"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite+pysqlite:///file::memory:?uri=true"),
        ("DATABASE_URL", "sqlite:////data/feedback.db?mode=memory&uri=true"),
        ("DATABASE_URL", "sqlite:///file:/feedback?vfs=memdb&uri=true"),
        ("DATABASE_URL", "sqlite:///feedback.db"),
        ("DATABASE_URL", "sqlite://host/feedback.db"),
        ("BUNDLE_DIR", ""),
        ("MODEL", "../etc"),
        ("ALIAS", "a b"),
        ("MODEL_VERSION", "latest"),
        ("POLL_SECONDS", "nan"),
        ("POLL_SECONDS", "0"),
        ("PORT", "80.5"),
        ("PORT", "70000"),
        ("HOSTS", "http://films.example"),
        ("HOSTS", "films.example:80"),
        ("QUEUE_SIZE", "0"),
        ("DRAIN_SECONDS", "-1"),
        ("AB_SHARE", "1.5"),
        ("SHADOW", "maybe"),
        ("OWN_MODULES", "os;system"),
        ("KERNELS", "/no/such/folder"),
        ("TRACING", "yes"),
        ("API_KEY_FILE", "/no/such/file"),
        ("LOG_SALT_FILE", "/no/such/file"),
    ],
)
def test_a_value_that_is_not_right(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=rf"RECSYS_LAB_{name} is .*right (would be|is) "):
        Settings.from_environment({**LEAST, f"RECSYS_LAB_{name}": text})


@pytest.mark.parametrize("url", ["sqlite:////data/feedback.db", "sqlite:///file:/data/x.db?vfs=unix-dotfile&uri=true"])
def test_a_file_of_sqlite_with_its_whole_path(url: str) -> None:
    assert Settings.from_environment({**LEAST, "RECSYS_LAB_DATABASE_URL": url}).database_url == url


def test_defaults_stand_in_for_what_is_missing() -> None:
    found = Settings.from_environment({"RECSYS_LAB_BUNDLE_DIR": "/mine", "RECSYS_LAB_DATABASE_URL": ""}, LEAST)
    assert found.bundle_dir == Path("/mine")
    assert found.database_url == LEAST["RECSYS_LAB_DATABASE_URL"]


def test_the_database_is_a_file_beside_the_copies_unless_it_is_named() -> None:
    found = Settings.from_environment({name: LEAST[name] for name in LEAST if not name.endswith("DATABASE_URL")})
    assert found.database_url == "sqlite:////feedback.db"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", "a key"),
        ("DATABASE_URL", "postgresql+psycopg://a:b@c/d"),
        ("LOG_SALT", "a salt"),
        ("REGISTRY_PASSWORD", "p"),
    ],
)
def test_a_secret_in_a_file(name: str, value: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    variable = f"RECSYS_LAB_{name}"
    environ = {**{key: LEAST[key] for key in LEAST if key != variable}, f"{variable}_FILE": str(file)}
    found = Settings.from_environment(environ)
    assert getattr(found, name.lower()) == value
    with pytest.raises(ValueError, match=f"{variable} and {variable}_FILE are both set"):
        Settings.from_environment({**environ, variable: value})
    file.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=rf"{variable}_FILE is not readable: it is not UTF-8"):
        Settings.from_environment(environ)
    file.write_text(" \n")
    with pytest.raises(ValueError, match=rf"{variable}_FILE is the name of an empty file"):
        Settings.from_environment(environ)


def test_the_table_in_the_docs_has_each_setting_and_its_default() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| RECSYS_LAB_")]
    written = [
        (name.strip(), default.strip())
        for names, defaults in rows
        for name, default in zip(names.split(","), defaults.split(",") if "," in names else [defaults], strict=True)
    ]
    assert sorted(name for name, _ in written) == sorted(f"RECSYS_LAB_{one.name.upper()}" for one in fields(Settings))
    found = Settings.from_environment(LEAST)
    for name, default in written:
        field = name.removeprefix("RECSYS_LAB_").lower()
        if field in ("registry_uri", "bundle_dir", "database_url", "log_salt"):  # the table has words for these
            continue
        value = getattr(found, field)
        number = isinstance(value, float | int) and not isinstance(value, bool)
        assert default == (f"{value:.12g}" if number else "false" if value is False else str(value or "")), name
