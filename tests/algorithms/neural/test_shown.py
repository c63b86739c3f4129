"""What is shown of neural models: the picture of their layers, and the training curve in MLflow and in notebooks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recsys_lab import tracking
from recsys_lab.plots import layer_picture
from recsys_lab.plots.neural import LAYERS
from recsys_lab.tracking import curves, store


def test_the_picture_names_each_model_and_each_box_once() -> None:
    (axes,) = layer_picture(["NeuMF", "SASRec"]).axes
    words = [text.get_text() for text in axes.texts if text.get_text()]
    boxes = [words for name in ("NeuMF", "SASRec") for column in LAYERS[name] for _, words in column]
    assert sorted(words) == sorted([*boxes, "NeuMF", "SASRec"])
    assert len(axes.patches) >= len(boxes)


@pytest.mark.parametrize("wrong", [[], ["EASE"]])
def test_the_picture_of_an_unknown_model_is_refused(wrong: list[str]) -> None:
    with pytest.raises(ValueError, match="layer_picture draws NeuMF, TwoTower"):
        layer_picture(wrong)


def test_a_curve_is_logged_by_epoch_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    curve = pd.DataFrame(
        {"phase": ["search", "final"], "epoch": [1, 1], "loss": [0.5, 0.4], "validation": [0.1, float("nan")]}
    )
    run = store.start_run("curves", "run", {})
    assert tracking.load_curve(run) is None
    curves.log_curve(run, curve)
    curve.to_csv(tmp_path / curves.CURVE, index=False)
    store.log_file(run, tmp_path / curves.CURVE)
    (found,) = store.find_runs("curves")
    expected = {"training/search_loss": 0.5, "training/search_validation": 0.1, "training/final_loss": 0.4}
    assert found.metrics == expected
    loaded = tracking.load_curve(run)
    assert loaded is not None
    assert loaded.equals(curve)
