"""The trial that a bundle passes before it answers anybody: a spread of users get the lists that promotion saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recsys_lab.serving.recommender import Answer, Recommender

N_USERS = 201  # of the trial: the first, and a spread of 200 others; all where there are fewer
K = 10
TIED = 1e-4  # scores that differ by less, relative to the largest of a list, are equal: processors round differently


def trial_users(n_users: int) -> list[int]:
    """The codes of the users that a trial asks for."""
    return np.unique(np.linspace(0, n_users - 1, min(n_users, N_USERS)).astype(int)).tolist() if n_users else []


def trial_lists(served: Recommender) -> list[dict[str, Any]]:
    """User, source, items and scores of each list of a trial, as JSON values; ValueError where one cannot be made."""
    ids = served.bundle.user_ids
    return [{"user": str(ids[code]), **_as_json(_list(served, code))} for code in trial_users(len(ids))]


def require_trial(served: Recommender, expected: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError unless every list of the trial is the ``expected`` one, and whatever else can be asked answers.

    Users are named by their place: their ids would stand in the log.
    """
    users = [str(served.bundle.user_ids[code]) for code in trial_users(served.bundle.n_users)]
    if not users or not all(map(_is_list, expected)) or [one["user"] for one in expected] != users:
        raise ValueError(
            f"the manifest has {len(expected)} trial lists, expected one of each of {len(users)} trial users"
        )
    for code, one in zip(trial_users(served.bundle.n_users), expected, strict=True):
        found = _as_json(_list(served, code))
        if found["source"] != one["source"] or not same_list(one, found):
            raise ValueError(
                f"trial user {code}: the list is {found['items'][:5]}, expected {list(one['items'][:5])}; "
                f"from {found['source']}, expected {one['source']}"
            )
    _ask_the_rest(served)


def same_list(expected: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether two lists (``items`` and ``scores``, the best first) are equal but for the order of equal scores."""
    scores, others = np.array(expected["scores"], np.float64), np.array(found["scores"], np.float64)
    if len(expected["items"]) != len(scores) or scores.shape != others.shape:
        return False
    nearly = TIED * float(np.abs(scores).max(initial=0.0))
    known = dict(zip(expected["items"], scores.tolist()))
    # an item that is not expected has the score at which the list was cut
    own = np.array([known.get(item, scores[-1]) for item in found["items"]], dtype=np.float64)
    close = [bool((np.abs(one - others) <= nearly).all()) for one in (scores, own)]
    return all(close) and len(set(found["items"])) == len(scores)


def _is_list(one: Any) -> bool:
    """Whether ``one`` has the keys and types of what ``trial_lists`` makes."""
    kinds = {"user": str, "source": str, "items": list, "scores": list}
    if not (
        isinstance(one, dict) and set(one) == set(kinds) and all(isinstance(one[key], kinds[key]) for key in kinds)
    ):
        return False
    return all(isinstance(item, str) for item in one["items"]) and all(type(score) is float for score in one["scores"])


def _list(served: Recommender, code: int) -> Answer:
    try:
        answer = served.recommend(served.bundle.user_ids[code], K)
    except ImportError:  # a package that is not here is not the bundle's fault
        raise
    except Exception as error:  # whatever a model that fits its layout can still do
        raise ValueError(f"trial user {code}: {type(error).__name__}: {error}") from error
    if answer is None or not np.isfinite([one.score for one in answer.items]).all():
        raise ValueError(f"trial user {code}: a score is not finite")
    return answer


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "source": answer.source,
        "items": [str(one.item_id) for one in answer.items],
        "scores": [float(f"{one.score:.7g}") for one in answer.items],
    }


def _ask_the_rest(served: Recommender) -> None:
    """Reasons, folded-in lists and similar items, so that compiled loops are ready too."""
    bundle = served.bundle
    some = [bundle.item_ids[code] for code in bundle.candidates[:3].tolist()]
    try:
        answers = [served.similar(item, K) for item in some[:1]]
        answers += [served.recommend(bundle.user_ids[0], K, explain=True)]
        answers += [served.fold_in(dict.fromkeys(some), K, explain=True)]
    except Exception as error:
        raise ValueError(f"reasons, similar items or a fold-in: {type(error).__name__}: {error}") from error
    if not np.isfinite([one.score for answer in answers if answer for one in answer.items]).all():
        raise ValueError("a score of a folded-in list or of similar items is not finite")
