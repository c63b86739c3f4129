"""Requests as they are checked, and answers as they are documented. Ids are text; whole numbers are taken too."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, WithJsonSchema, model_validator
from typing_extensions import NotRequired, TypedDict  # noqa: UP035  (pydantic asks for it below 3.12)

from recsys_lab.serving.settings import MAX_EVENTS, MAX_ID, MAX_ITEMS, MAX_K

Role: TypeAlias = Literal["champion", "challenger"]
EventKind: TypeAlias = Literal["view", "click", "like", "dislike", "retract"]
EVENTS: tuple[EventKind, ...] = get_args(EventKind)
SAID = frozenset({"like", "dislike", "retract"})  # of these the last one of a user and an item counts
MOST_FIELDS = 20  # of an object; more are refused together: an error for each of 20,000 takes 80 ms


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value  # in JSON 7.0 is an integer


def _text(value: Any) -> Any:
    value = _whole(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# no whitespace at the ends: whoever reads a table may drop it, and then two users are one
_SPACE = r" \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"  # \s is not the same in all languages
_ID = f"[^{_SPACE}{{0}}]([^{{0}}]*[^{_SPACE}{{0}}])?"
_CONTROL = r"\x00-\x1f\x7f-\x9f"
ID_PATTERN = f"^{_ID.format(_CONTROL)}$"
ID_RULE = "text without control characters and without whitespace at either end"
_ID_TEXT = Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=ID_PATTERN, description=ID_RULE)]
Id = Annotated[_ID_TEXT, Field(examples=["42"]), BeforeValidator(_text, _ID_TEXT | int)]
Ids = Annotated[list[Id], Field(max_length=MAX_ITEMS), FailFast()]
_K = Annotated[int, Field(ge=1, le=MAX_K)]  # as it is described
K = Annotated[_K, Field(description="length of the list"), BeforeValidator(_whole, _K)]
Genre = Annotated[str, Field(max_length=MAX_ID)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MOST_FIELDS:
            raise ValueError(f"{len(value):,} fields; expected at most {MOST_FIELDS}")
        return value


_IN_JSON = ConfigDict(strict=True)  # false is no rating and "5" is no length; a query string has text only


class ListOptions(_Strict):
    """What can be asked of a list."""

    k: K = 10
    exclude: Ids = Field(default=[], description="items to leave out")
    genre: Genre | None = Field(default=None, description="only items of this genre")
    model: Role | None = Field(default=None, description="default: the champion, or what the A/B split says")
    explain: bool = Field(default=False, description="say which items of the user speak for each item")


_ONE = _ID.format(f"{_CONTROL},")
_SOME_IDS = Annotated[str, Field(max_length=MAX_ID, pattern=f"^,*({_ONE}(,+{_ONE})*,*)?$")]  # as it is described


def _separate(values: Any) -> Any:
    return [part for value in values for part in str(value).split(",") if part] if isinstance(values, list) else values


class UserOptions(ListOptions):
    """What can be asked of a user's list."""

    exclude: Annotated[Ids, BeforeValidator(_separate, list[_SOME_IDS])] = Field(
        default=[], description="items to leave out; repeat it, or put commas between ids"
    )
    exclude_seen: bool = Field(default=True, description="leave out what the user has")
    strict: bool = Field(default=False, description="404 for an unknown user, where popular items would come")


class SimilarOptions(_Strict):
    """What can be asked of the items like an item."""

    k: K = 10
    model: Role | None = None


class PageOptions(_Strict):
    """A search among items or users."""

    q: str = Field(default="", max_length=MAX_ID, description="part of the title or the id")
    limit: int = Field(default=20, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=10_000_000)


class Rated(_Strict):
    """An item somebody has."""

    model_config = _IN_JSON

    item_id: Id
    rating: float | None = Field(default=None, ge=-1e6, le=1e6, allow_inf_nan=False, description="default: a usual one")


class FoldIn(ListOptions):
    """A list for somebody who has these items, known to the model or not."""

    model_config = _IN_JSON

    items: Annotated[list[Rated], FailFast()] = Field(min_length=1, max_length=MAX_ITEMS)
    user_id: Id | None = Field(default=None, description="a known user, who has these items too")


class Event(_Strict):
    """What somebody did with an item. The same ``event_id`` of the same user again changes nothing.

    retract takes back what was said of the item: of its likes, dislikes and retractions the last counts.
    """

    event_id: Id
    user_id: Id
    item_id: Id
    event: EventKind
    list_id: Id | None = Field(default=None, description="of the list the item stood in")


_EVENTS = {"type": "array", "items": Event.model_json_schema(), "minItems": 1, "maxItems": MAX_EVENTS}
# each is checked by ``bodies.checked``
Events = Annotated[list[Any], Field(min_length=1, max_length=MAX_EVENTS), WithJsonSchema(_EVENTS)]


class ItemOut(TypedDict):
    """An item and its title."""

    item_id: str
    title: str
    genres: NotRequired[list[str]]
    rating: NotRequired[float]


class ListedOut(ItemOut):
    """An item of a list."""

    score: float
    rank: int
    because: list[ItemOut]


class ModelOut(TypedDict):
    """Which model answered."""

    name: str
    version: str
    algorithm: str
    role: Role


class ListOut(TypedDict):
    """A list and where it comes from."""

    list_id: str
    user_id: str | None
    model: ModelOut
    source: Literal["model", "fold_in", "popularity"]
    items: list[ListedOut]
    exhausted: bool
    ignored_items: list[str]
    recent_items: int


class SaidItem(TypedDict):
    """An item and what was said of it."""

    item_id: str
    title: str
    event: Literal["like", "dislike"]
    list_id: str | None


class SaidOut(TypedDict):
    """What a user said of items lately, the last first."""

    items: list[SaidItem]


class ItemsOut(TypedDict):
    """Found items."""

    items: list[ItemOut]
    total: int


class SimilarOut(TypedDict):
    """The items most like an item, and which model says so."""

    model: ModelOut
    items: list[ListedOut]


class UserOut(TypedDict):
    """A user and how many items they have."""

    user_id: str
    n_items: int


class UsersOut(TypedDict):
    """Found users."""

    users: list[UserOut]
    total: int


class AcceptedOut(TypedDict):
    """How many events were taken."""

    accepted: int


class FaultOut(TypedDict):
    """A field that is not right."""

    path: str
    message: str


class ProblemOut(TypedDict):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: NotRequired[list[FaultOut]]
