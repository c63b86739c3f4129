"""The database of what was shown and what people did with it: SQLite by default, PostgreSQL by URL."""

from recsys_lab.serving.storage.database import LONGEST, REFUSED, BadRow, Database, NoTables, Replaced, Written
from recsys_lab.serving.storage.following import OVERLAP, Follower
from recsys_lab.serving.storage.tables import (
    EXPORTS,
    FEEDBACK,
    FORGOTTEN,
    IMPRESSIONS,
    SKEW,
    TABLES,
    Kind,
    OldTables,
    Row,
    event_row,
    fits,
    hash_of,
    impression_row,
)

__all__ = [
    "EXPORTS",
    "FEEDBACK",
    "FORGOTTEN",
    "IMPRESSIONS",
    "LONGEST",
    "OVERLAP",
    "REFUSED",
    "SKEW",
    "TABLES",
    "BadRow",
    "Database",
    "Follower",
    "Kind",
    "NoTables",
    "OldTables",
    "Replaced",
    "Row",
    "Written",
    "event_row",
    "fits",
    "hash_of",
    "impression_row",
]
