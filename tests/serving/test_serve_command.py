"""``recsys-lab serve`` before it serves: misspelt settings, an address that is taken, and what is promoted first."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.cli import main, serving
from recsys_lab.cli.settings import NEEDED
from recsys_lab.serving.copies import Copies
from recsys_lab.serving.models import open_model
from recsys_lab.serving.settings import Settings
from tests.serving.apps import Registry, app_of, bundle_of, settings_in
from tests.serving.conftest import Start
from tests.serving.test_settings import LEAST


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("API_KYE", "API_KEY"),
        ("PROT", "PORT"),
        ("ABSHARE", "AB_SHARE"),
        ("MODEL_VERSON", "MODEL_VERSION"),
        ("HSOT", "HOST"),
        ("HSOTS", "HOSTS"),
    ],
)
def test_a_misspelt_setting_is_named(wrong: str, right: str) -> None:
    with pytest.raises(ValueError, match=f"RECSYS_LAB_{wrong} is no setting; did you mean RECSYS_LAB_{right}?"):
        Settings.from_environment({**LEAST, f"RECSYS_LAB_{wrong}": "x"})


def test_names_that_others_set_are_left_alone() -> None:
    """Of the lab itself, and what Kubernetes sets in every pod for a service."""
    lab = ["HOME", "DATA", "CACHE", "CHECKPOINTS", "NOTEBOOK", "NOTEBOOKS", "PEERS", "PROGRESS", "TORCH_THREADS"]
    kubernetes = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP", "PORT_8000_TCP_PORT"]
    names = [*lab, *(f"API_{name}" for name in kubernetes)]
    Settings.from_environment({**LEAST, **{f"RECSYS_LAB_{name}": "x" for name in names}})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the lab."""
    for name in (*NEEDED, "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the command sets them, and numba bears no other number later in this process
    monkeypatch.setenv("RECSYS_LAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_port_that_is_taken_is_known_before_anything_is_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert "right would be another one: --port " in said
    assert main(["serve", "--host", "256.1.1.1"]) == 2
    assert "nothing can listen at 256.1.1.1" in capsys.readouterr().err
    assert not home.exists()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The commands that serve would run, and no command is run."""
    commands: list[str] = []
    monkeypatch.setattr(serving, "_typed", lambda *words: commands.append(" ".join(words)))
    return commands


def _first(monkeypatch: pytest.MonkeyPatch, *there: str, **settings: str) -> None:
    monkeypatch.setattr(serving, "_has", lambda _, wanted: wanted in there)
    serving._promote_first(settings_in(Path(), **settings))


def test_the_champion_is_promoted_last(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _first(monkeypatch, model="mine")
    file = serving.ROOT / "experiments" / "quickstart.yaml"
    assert typed == [
        f"run {file}",
        f"promote {file} --name mine --alias challenger --run second",
        f"promote {file} --name mine --alias champion",
    ]


def test_a_challenger_that_somebody_promoted_is_kept(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _first(monkeypatch, "challenger")
    assert [command.split()[0] for command in typed] == ["run", "promote"]
    assert typed[1].endswith("--alias champion")


def test_nothing_is_run_where_a_champion_is(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _first(monkeypatch, "champion")
    _first(monkeypatch, "3", model_version="3")
    assert typed == []


@pytest.mark.parametrize("settings", [{"alias": "staging"}, {"model_version": "7"}])
def test_another_alias_or_version_is_not_made_up(
    typed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: dict[str, str]
) -> None:
    _first(monkeypatch, "champion", **settings)
    assert typed == []
    said = capsys.readouterr().err
    assert f"recommender has no {next(iter(settings.values()))!r} yet" in said
    assert "recsys-lab promote" in said


def test_a_command_that_fails_ends_serve(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`recsys-lab run .*none\.yaml` failed; what it says above"):
        serving._typed("run", str(tmp_path / "none.yaml"))


ENDLESS = """
import signal, sys, time
from recsys_lab.cli import serving
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have told its jobs to ignore it
sys.executable = sys.argv[1]
try:
    serving._typed("x")
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
CHILD = """#!/bin/sh
trap 'echo ended in order; exit 0' TERM
echo begun
while :; do sleep 0.05; done
"""


def test_ctrl_c_ends_the_command_under_way_in_order(tmp_path: Path) -> None:
    (tmp_path / "child").write_text(CHILD)
    (tmp_path / "child").chmod(0o755)
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "child")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(2)
        rest = process.stdout.read()
    assert rest.splitlines() == ["ended in order", "stopped"]


def test_ctrl_c_while_a_command_starts_ends_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt comes when the command runs and nobody waits for it yet."""
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__([sys.executable, "-c", "import time; time.sleep(60)"])
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            serving._typed("run")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert [one.returncode for one in started] == [-signal.SIGTERM]


def test_what_another_process_has_just_written_is_left_alone(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both fetch one version at the same time; one is done first, while the other has yet to read its copy."""
    registry.add(bundle_of(), "champion")
    version = registry.version_of("", "recommender", "champion")
    assert version is not None
    mine, other = Copies(tmp_path / "bundles"), Copies(tmp_path / "bundles")
    places = [registry.fetch_bundle("", version, one.place("champion", version)) for one in (mine, other)]
    mine.remember("champion", version, places[0])
    open_model("champion", version, places[1], ())
    other.remember("champion", version, places[1])
    assert list(mine.good("champion")) == [(places[1], version), (places[0], version)]


def test_two_processes_on_one_disk_follow_one_alias(registry: Registry, start: Start) -> None:
    registry.add(bundle_of(), "champion")
    both = [app_of(start(ready=False)).state for _ in range(2)]
    for number in range(3):
        registry.add(bundle_of("ItemKNN" if number % 2 == 0 else "EASE"), "champion")
        looks = [threading.Thread(target=one.watcher.check) for one in both]
        for look in looks:
            look.start()
        for look in looks:
            look.join()
        assert [one.models.champion.version.number for one in both] == [str(number + 2)] * 2
        assert not any(one.models.stale["champion"] for one in both)
    assert next(both[0].watcher.copies.good("champion"))[1].number == "4"
