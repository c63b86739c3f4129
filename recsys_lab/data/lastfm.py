"""Last.fm 2k (HetRec 2011): how often users played artists; names of artists, and tags where the file is there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_lab.data.content import count_features, stack_features, with_features, word_features
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.sources import Files


def read_hetrec(files: Files) -> Interactions:
    """user_artists.dat, artists.dat (UTF-8) and, if present, user_taggedartists.dat with tags.dat (latin-1).

    Ratings are play counts, from 1 to 352,698. The features are the words of the artists' names (``word:...``) and how
    many users gave a tag (``tag:...``).
    """
    with files.open("user_artists.dat") as handle:
        plays = pd.read_csv(handle, sep="\t", dtype=np.int64)
    with files.open("artists.dat") as handle:
        names = pd.read_csv(
            handle, sep="\t", usecols=["id", "name"], dtype={"id": np.int64, "name": str}, quoting=3, na_filter=False
        )
    artists = names.set_index("id").reindex(np.unique(plays["artistID"])).rename(columns={"name": "title"})
    artists["title"] = artists["title"].fillna("")
    artists.index.name = "artistID"
    data = Interactions.from_frame(
        plays, user="userID", item="artistID", rating="weight", timestamp=None, items=artists
    )
    features = [word_features(data.catalogue.items["title"])]
    if files.has("user_taggedartists.dat"):
        with files.open("user_taggedartists.dat") as handle:
            given = pd.read_csv(handle, sep="\t", usecols=["artistID", "tagID"], dtype=np.int64)
        with files.open("tags.dat") as handle:
            tags = pd.read_csv(handle, sep="\t", encoding="latin-1", quoting=3, na_filter=False)
        items = data.catalogue.item_ids.get_indexer(pd.Index(given["artistID"]))
        known = items >= 0  # tags of artists nobody played
        labels = given["tagID"].map(tags.set_index("tagID")["tagValue"]).fillna("")[known].astype(str).tolist()
        features.append(count_features(items[known], labels, "tag", data.n_items))
    return with_features(data, stack_features(features))
