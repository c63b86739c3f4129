"""The commands on what was shown and what people did with it."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recsys_lab.cli.settings import database_errors, read_settings

if TYPE_CHECKING:
    from recsys_lab.serving.privacy import InFile
    from recsys_lab.serving.settings import Settings
    from recsys_lab.serving.storage import Database

T = TypeVar("T")
FEEDBACK = ("export-feedback", "judge", "forget", "export-user")  # the commands of this file


def add_feedback_commands(commands: Any) -> None:
    """export-feedback, judge, forget and export-user."""
    export = commands.add_parser("export-feedback", help="write feedback as a table for the next experiment")
    export.add_argument("--output", type=Path, required=True, metavar="FILE", help=".parquet, .csv or .csv.gz")
    export.add_argument("--events", default="view,click,like,dislike", help="only these, with commas between")
    judge = commands.add_parser("judge", help="champion against challenger, by what people did with their lists")
    design = judge.add_mutually_exclusive_group()
    design.add_argument("--share", type=float, help="of the users with the challenger (default: RECSYS_LAB_AB_SHARE)")
    design.add_argument("--shadow", action="store_true", help="lists in the shadow, by what was done with those shown")
    judge.add_argument("--champion", default="", metavar="VERSION", help="default: the one that answered at that time")
    judge.add_argument("--challenger", default="", metavar="VERSION", help="default: the last one that answered")
    judge.add_argument("--since", metavar="TIME", help="2026-11-01, 2026-11-01T12:00, or 7d, 12h before now (UTC)")
    judge.add_argument("--until", metavar="TIME", help="the same; default: the last list of the two")
    judge.add_argument("--min-effect", type=float, default=0.01, help="smallest change that matters (default: 0.01)")
    judge.add_argument("--output", type=Path, metavar="FILE", help="also write .json, or the table as .csv")
    forget = commands.add_parser(
        "forget", help="delete what the service keeps of a user, and name the models with them"
    )
    forget.add_argument("user", type=_user, help="the id, as text")
    person = commands.add_parser("export-user", help="what the service keeps of a user, as JSON")
    person.add_argument("user", type=_user, help="the id, as text")
    person.add_argument("--output", type=Path, metavar="FILE.json", help="default: the terminal")


def _user(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentTypeError(f"{text!r} is not UTF-8; expected an id as the service takes it") from None
    return text


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    """The database. A row that no column can mean is named, and the process ends with 1 where there is no database."""
    from recsys_lab.serving.storage import Database

    with database_errors(settings.database_url), closing(Database(settings.database_url)) as database:
        try:
            yield database
        except LookupError:
            _require_tables(database)
            raise
        except (ValueError, TypeError, AttributeError, ArithmeticError):
            database.require_sound()
            raise


def _require_tables(database: Database) -> None:
    """End the process where somebody named a database that is not there, or is another one."""
    from recsys_lab.serving.storage import NoTables

    if not _is_named():
        return
    try:
        with database.connect():
            pass
    except NoTables:
        url = database.engine.url.set(query={}).render_as_string(hide_password=True)
        raise SystemExit(
            f"recsys-lab: the database {url} does not exist, or the service never wrote to it; nothing was done. "
            "Expected in RECSYS_LAB_DATABASE_URL: the one that the replicas have, with the whole path of a file"
        ) from None


def _asked(database: Database, ask: Callable[[Database, str], T], user: str) -> T | None:
    """What ``ask`` says of a user; None where nothing was ever written, in a database that nobody named."""
    from recsys_lab.serving.storage import NoTables

    try:
        return ask(database, user)
    except NoTables:
        _require_tables(database)
        return None


def _is_named() -> bool:
    names = ("RECSYS_LAB_DATABASE_URL", "RECSYS_LAB_DATABASE_URL_FILE")
    return any(os.environ.get(name, "").strip() for name in names)


def do_export_feedback(given: Namespace) -> int:
    """Write the feedback table."""
    from recsys_lab.serving.export import export_feedback

    settings, _ = read_settings()
    events = [name.strip() for name in given.events.split(",")]
    with _opened(settings):
        n_rows = export_feedback(settings.database_url, given.output, events)
    print(f"Wrote {n_rows:,} rows to {given.output}; in an experiment: dataset: {{path: {given.output}, ids: str}}")
    return 0


def do_judge(given: Namespace) -> int:
    """Judge; 1 when users did not reach the two arms as they were drawn."""
    from recsys_lab.judgement import judge_shadow, judge_split, report
    from recsys_lab.judgement.times import seconds_of

    if given.output is not None:
        report.check_ending(given.output)
    settings, _ = read_settings()
    options = {name: getattr(given, name) for name in ("champion", "challenger", "min_effect")}
    options |= {name: seconds_of(getattr(given, name)) for name in ("since", "until") if getattr(given, name)}
    share = settings.ab_share if given.share is None else given.share
    with _opened(settings) as database:
        if given.shadow or (given.share is None and settings.shadow and not settings.ab_share):
            found = judge_shadow(database, **options)
        else:
            found = judge_split(database, share, **options)
    print(report.to_terminal(found), end="")
    if given.output is not None:
        report.write(found, given.output)
        print(f"Wrote {given.output}")
    return 0 if found.valid else 1


def do_forget(given: Namespace) -> int:
    """Delete what is kept of a user; 1 when something could not be looked at."""
    from recsys_lab.serving import privacy

    settings, is_local = read_settings()
    with _opened(settings) as database:
        n_deleted = _asked(database, privacy.forget_in_database, given.user)
        if n_deleted is None:
            print("database: nothing was ever written to it")
        else:
            print(f"database: {n_deleted['impression']:,} lists and {n_deleted['event']:,} events deleted")
            print("  replicas write no row of this user from before now or the minute after it; backups may have some")
        exports = privacy.in_exports(database, given.user, forget=True)
    spool = privacy.in_spool(settings.bundle_dir / "spool", given.user, forget=True)
    n_problems = sum(
        [_print_files("spool", spool), _print_files("exports", exports), _print_models(settings, is_local, given.user)]
    )
    return 1 if n_problems else 0


def do_export_user(given: Namespace) -> int:
    """Print or write what is kept of a user; 1 when something could not be looked at."""
    import dataclasses
    import json

    from recsys_lab.serving import privacy
    from recsys_lab.serving.holders import models_holding
    from recsys_lab.serving.private import written_privately

    if given.output is not None and given.output.suffix != ".json":
        raise ValueError(f"{given.output} ends in {given.output.suffix or 'nothing'!r}; expected .json")
    settings, is_local = read_settings()
    with _opened(settings) as database:
        rows = _asked(database, privacy.rows_in_database, given.user) or {"impression": [], "event": []}
        json.dumps(rows)  # a row that cannot be written is named
        exports = privacy.in_exports(database, given.user, forget=False)
    spool = privacy.in_spool(settings.bundle_dir / "spool", given.user, forget=False)
    models = models_holding(settings, given.user, ask_registry=_has_registry(is_local))
    found = {
        "user_id": given.user,
        "impressions": rows["impression"],
        "feedback": rows["event"],
        "spool": [dataclasses.asdict(one) for one in spool],
        "exports": [dataclasses.asdict(one) for one in exports],
        "models": [dataclasses.asdict(one) for one in models],
    }
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if given.output is None:
        print(text, end="")
    else:
        with written_privately(given.output) as stream:
            stream.write(text.encode())
        n_rows = sum(map(len, rows.values()))
        print(f"Wrote {given.output}: {n_rows:,} rows, {len(spool) + len(exports):,} files, {len(models):,} models")
    problems = [one.problem for one in (*spool, *exports)] + [one.problem for one in models]
    return 1 if any(problems) else 0


def _print_files(what: str, files: Sequence[InFile]) -> int:
    """Say what became of the rows in files; how many of these have a problem."""
    changed = [one for one in files if not one.problem]
    n_rows = sum(len(one.rows) + one.n_damaged for one in changed)
    print(f"{what}: {n_rows:,} rows deleted from {len(changed):,} files")
    for one in changed:
        print(f"  {one.path}")
    for one in (one for one in files if one.problem):
        print(f"  NOT {one.path}: {one.problem}")
    return len(files) - len(changed)


def _print_models(settings: Settings, is_local: bool, user: str) -> int:
    """Name the models that hold the user; how many could not be read."""
    from recsys_lab.serving.holders import models_holding

    found = models_holding(settings, user, ask_registry=_has_registry(is_local))
    holding = [one for one in found if one.holds]
    print(f"models: {len(holding):,} hold rows of this user")
    for one in holding:
        print(f"  {one.where}")
    if holding:
        print("  train again on data without this user and promote; replicas drop their copies of the versions before")
    for one in (one for one in found if one.problem):
        print(f"  NOT READ {one.where}: {one.problem}")
    return len(found) - len(holding)


def _has_registry(is_local: bool) -> bool:
    """Whether there is a registry to ask: asking makes the lab's own, where it is missing."""
    from recsys_lab import tracking

    return not is_local or tracking.store_exists()
