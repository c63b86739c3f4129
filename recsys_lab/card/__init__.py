"""The evaluation card: one JSON document (and its Markdown) that says what was measured, how, and what it is worth."""

from recsys_lab.card.build import Made, build_card
from recsys_lab.card.complete import complete_card
from recsys_lab.card.markdown import to_markdown
from recsys_lab.card.schema import check_card, schema
from recsys_lab.card.status import INVALID, VALID, WARN, status_of, worst

__all__ = [
    "INVALID",
    "VALID",
    "WARN",
    "Made",
    "build_card",
    "check_card",
    "complete_card",
    "schema",
    "status_of",
    "to_markdown",
    "worst",
]
