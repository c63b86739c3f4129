"""The embedded data set: generated, seeded, versioned, of any size, and with a known truth. See docs/synthetic.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.data.interactions import Catalogue, Interactions
from recsys_lab.data.synthetic.config import NAMED, VERSION, SyntheticConfig, parse_name
from recsys_lab.data.synthetic.names import GENRES, item_genres, item_titles
from recsys_lab.data.synthetic.sampling import draw_rows
from recsys_lab.data.synthetic.truth import Truth, draw_truth, truth_of

__all__ = ["NAMED", "VERSION", "SyntheticConfig", "Truth", "generate", "load", "parse_name", "truth_of"]


def load(name: str, *, seed: int = 42, **options: Any) -> Interactions:
    """The data set of a name: "synthetic-small", "synthetic-100k", "synthetic-1m", or any size as "synthetic-250k".

    ``options`` are those of ``SyntheticConfig`` (taste, liking, noise, drift, n_days). Raises ValueError for an
    unknown name.
    """
    n_interactions, n_users, n_items = parse_name(name)
    return generate(n_users, n_items, n_interactions, seed=seed, **options)


def generate(n_users: int, n_items: int, n_interactions: int, *, seed: int = 42, **options: Any) -> Interactions:
    """Rows shaped like MovieLens, by user and time: the same for the same arguments, in every process.

    User ids are 1 ... n_users and item ids 1 ... n_items; an item may have no row. The catalogue has titles,
    years, genres ("Comedy|Drama") and the genres as multi-hot ``item_features``. ``truth_of(data.catalogue.info)``
    gives the truth, after filters too. ``options``: see ``SyntheticConfig``, which also raises the errors.
    """
    config = SyntheticConfig(n_users=n_users, n_items=n_items, n_interactions=n_interactions, seed=seed, **options)
    users, items, ratings, seconds = draw_rows(draw_truth(config))
    return Interactions(users, items, ratings, seconds, _catalogue(config))


def _catalogue(config: SyntheticConfig) -> Catalogue:
    names = np.asarray(list(GENRES), dtype=object)
    genres = item_genres(config.n_items, config.seed)
    item_ids = pd.RangeIndex(1, config.n_items + 1, name="item_id")
    titles = item_titles(config.n_items, config.seed)
    items = pd.DataFrame(
        {
            "title": titles,
            "year": [float(title[-5:-1]) for title in titles],
            "genres": ["|".join(names[row]) for row in genres],
        },
        index=item_ids,
    )
    info: dict[str, Any] = {
        "name": config.name,
        "version": VERSION,
        "url": None,
        "licence": "MIT (generated)",
        "source": "recsys_lab.data.synthetic",
        "raw_sha256": None,
        "filters": [],
        "content": {"title": "static", "year": "static", "genres": "static"},
        "synthetic": config.to_dict(),
    }
    return Catalogue(
        user_ids=pd.RangeIndex(1, config.n_users + 1, name="user_id"),
        item_ids=item_ids,
        items=items,
        item_features=sparse.csr_matrix(genres, dtype=np.float32),
        feature_names=[f"genre:{genre}" for genre in GENRES],
        info=info,
    )
