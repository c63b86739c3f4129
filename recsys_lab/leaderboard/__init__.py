"""Runs become a ranked table with intervals and corrected tests, as HTML, Markdown, LaTeX and CSV."""

from recsys_lab.leaderboard.across import build_across
from recsys_lab.leaderboard.board import Leaderboard, build, from_work
from recsys_lab.leaderboard.segments import leader_segments
from recsys_lab.leaderboard.table import Entry, Table, build_table

__all__ = ["Entry", "Leaderboard", "Table", "build", "build_across", "build_table", "from_work", "leader_segments"]
