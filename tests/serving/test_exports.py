"""Exports and forgetting side by side: whichever comes first, no row of a forgotten user comes back."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from pathlib import Path

import pytest

from recsys_lab import read_interactions
from recsys_lab.cli import main
from recsys_lab.serving import private
from recsys_lab.serving.export import export_feedback
from tests.serving.people import OTHER, USER, users_in
from tests.serving.processes import EXPORTS_SLOWLY, child_of, go_on

FORGETS = """
import os, sys, time
from recsys_lab.cli import main
fsync = os.fsync
def slowly(number):
    fsync(number)
    time.sleep(2)  # before the file takes the place of the one that was read
os.fsync = slowly
print("ready", flush=True)
sys.stdin.readline()
sys.exit(main(["forget", sys.argv[1]]))
"""


def _without_registry(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Other processes have no registry to ask: the lab's own, which is not there."""
    monkeypatch.delenv("RECSYS_LAB_REGISTRY_URI")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(place / "home"))


def test_who_is_forgotten_at_the_same_time_as_others_stays_forgotten(
    settled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that read a file and then replaced it brought the rows of each other back."""
    _without_registry(monkeypatch, settled)
    shutil.rmtree(settled / "bundles" / "spool")
    file = settled / "out" / "table.csv"
    several = [child_of(FORGETS, user) for user in (USER, OTHER)]
    for child in several:
        go_on(child)
    said = [child.communicate(timeout=120)[0] for child in several]
    assert [child.returncode for child in several] == [0, 0]
    assert all("exports: 3 rows deleted from 3 files" in one for one in said)
    assert file.read_text() == '"user_id","item_id","rating","timestamp","event"\n'
    assert not {"parquet", "csv", "csv.gz"} & {name for name, users in users_in(settled).items() if users}


@pytest.mark.parametrize("when", ["reading", "written"])
@pytest.mark.parametrize("name", ["new.csv", "table.parquet"])
def test_who_is_forgotten_during_an_export_is_not_in_it(
    settled: Path, capsys: pytest.CaptureFixture[str], name: str, when: str
) -> None:
    file = settled / "out" / name
    child = child_of(EXPORTS_SLOWLY, os.environ["RECSYS_LAB_DATABASE_URL"], str(file), when)
    later = threading.Timer(3, go_on, [child])
    later.start()
    assert main(["forget", USER]) == 0
    later.join()
    assert child.communicate(timeout=60)[0] == "2\n"
    said = capsys.readouterr().out
    assert f"  {file}\n" in said
    assert set(read_interactions(file, ids="str").catalogue.user_ids) == {OTHER}
    assert f"exports: {4 if name == 'new.csv' else 3} rows deleted" in said


def test_an_export_that_was_killed_leaves_nothing_of_a_forgotten_user(
    settled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = settled / "later"
    child = child_of(EXPORTS_SLOWLY, os.environ["RECSYS_LAB_DATABASE_URL"], str(folder / "new.csv"), "written")
    child.communicate(timeout=60)
    assert child.returncode == 9
    assert [file.name[:17] for file in folder.iterdir()] == [".partial-new.csv."]
    assert main(["forget", USER]) == 0
    assert list(folder.iterdir()) == []
    assert "NOT" not in capsys.readouterr().out


def test_an_export_that_failed_is_no_file_that_is_gone(settled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LookupError, match="no such feedback"):
        export_feedback(os.environ["RECSYS_LAB_DATABASE_URL"], settled / "out" / "views.csv", ["view"])
    assert main(["forget", USER]) == 0
    assert "views.csv" not in capsys.readouterr().out
    file = settled / "out" / "table.csv"
    with pytest.raises(LookupError, match="no such feedback"):  # one that was there, and is elsewhere now
        export_feedback(os.environ["RECSYS_LAB_DATABASE_URL"], file, ["view"])
    file.unlink()
    assert main(["forget", USER]) == 1
    assert f"NOT {file}: it is gone" in capsys.readouterr().out


def test_rows_behind_a_link_are_deleted_where_they_are(settled: Path) -> None:
    """The link was replaced by a table, and what it named kept the rows."""
    link, real = settled / "out" / "table.csv", settled / "elsewhere" / "big.csv"
    real.parent.mkdir()
    link.rename(real)
    link.symlink_to(real)
    assert main(["forget", USER]) == 0
    assert link.is_symlink()
    assert f'"{USER}"' not in real.read_text()
    export_feedback(os.environ["RECSYS_LAB_DATABASE_URL"], link)
    assert link.is_symlink()
    link.unlink()
    assert main(["forget", OTHER]) == 1  # the link is gone
    assert f'"{OTHER}"' not in real.read_text(), "noted is the file"


def test_a_folder_that_is_held_for_long_is_named(
    settled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(private, "PATIENCE", 0.2)
    with private.only_writer(settled / "out"):
        assert main(["forget", USER]) == 1
        with pytest.raises(TimeoutError, match="another process has changed files"):
            export_feedback(os.environ["RECSYS_LAB_DATABASE_URL"], settled / "out" / "table.csv")
    said = capsys.readouterr().out
    assert f"NOT {settled / 'out' / 'table.csv'}: it cannot be read (another process has changed files" in said
    assert main(["forget", USER]) == 0
    assert users_in(settled)["csv"] == {OTHER}


def test_a_file_system_without_locks_is_said(
    settled: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EBADF, "a folder on NFS")

    monkeypatch.setattr(fcntl, "flock", none)
    assert main(["forget", USER]) == 0
    assert users_in(settled)["csv"] == {OTHER}
    assert "has no locks: let forget and export-feedback run one at a time" in caplog.text
