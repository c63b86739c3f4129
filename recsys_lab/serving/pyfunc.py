"""The model file of the MLflow pyfunc: MLflow runs this code when it loads a promoted version (models from code).

Input: a table with the column ``user_id``. Output: ``user_id``, ``rank``, ``item_id``, ``score``, ``source``; the
parameters are ``k`` and ``exclude_seen``. Ids are text at this boundary. An unknown user gets popular items.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel

from recsys_lab.serving.bundle import load_bundle
from recsys_lab.serving.recommender import Recommender

COLUMNS = ("user_id", "rank", "item_id", "score", "source")


class RecommenderModel(PythonModel):
    """Lists for known users, popular items for the others."""

    def load_context(self, context: Any) -> None:
        """Load the bundle that was logged with the model."""
        own_modules = (context.model_config or {}).get("own_modules", [])
        bundle, _ = load_bundle(Path(context.artifacts["bundle"]), own_modules=own_modules)
        self.recommender = Recommender(bundle)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row an item, users in the order given."""
        chosen = params or {}
        k, exclude_seen = int(chosen.get("k", 10)), bool(chosen.get("exclude_seen", True))
        rows = []
        for user in model_input["user_id"].astype(str):
            answer = self.recommender.recommend(user, k, exclude_seen=exclude_seen) or self.recommender.popular(k)
            rows += [(user, one.rank, str(one.item_id), one.score, answer.source) for one in answer.items]
        return pd.DataFrame(rows, columns=list(COLUMNS))


mlflow.models.set_model(RecommenderModel())
