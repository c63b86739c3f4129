"""The training loop: early stopping, resuming, repeating; and that PyTorch stays where it belongs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys_lab.algorithms.catalogue import make_algorithm
from recsys_lab.algorithms.contract_cases import contract_data
from recsys_lab.algorithms.neural.checkpoint import FOLDER, Checkpoint

SMALL: dict[str, Any] = {"n_epochs": 6, "batch_size": 256, "n_factors": 8}
MODELS = ["GMF", "MultVAE", "SASRec"]


def _scores(model: Any) -> Any:
    train = contract_data()
    return model.score(np.arange(train.n_users, dtype=np.int32), train.matrix)


def test_training_stops_when_the_validation_stops_rising_and_trains_again_on_all_rows() -> None:
    model = make_algorithm("LightGCN", n_epochs=80, batch_size=512, learning_rate=0.05, patience=3)
    curve = model.fit(contract_data()).history_
    search, final = curve[curve["phase"] == "search"], curve[curve["phase"] == "final"]
    best = int(search["epoch"].iloc[search["validation"].argmax()])
    assert len(search) == best + 3 < 80
    assert len(final) == best
    assert final["validation"].isna().all()
    assert curve["loss"].gt(0).all()


def test_without_refits_the_best_network_is_kept_and_without_validation_all_epochs_are_trained() -> None:
    kept = make_algorithm("GMF", refits=False, **SMALL).fit(contract_data())
    assert set(kept.history_["phase"]) == {"search"}
    whole = make_algorithm("GMF", validation_share=0.0, **SMALL).fit(contract_data())
    assert whole.history_["phase"].tolist() == ["final"] * 6


def test_the_loss_falls() -> None:
    curve = make_algorithm("GMF", **{**SMALL, "validation_share": 0.0, "n_epochs": 20}).fit(contract_data()).history_
    assert curve["loss"].iloc[-1] < 0.9 * curve["loss"].iloc[0]


@pytest.mark.parametrize("stop_after", [2, 8])  # in the search, and in the final training
@pytest.mark.parametrize("name", MODELS)
def test_an_interrupted_fit_goes_on_and_ends_with_the_same_bits(
    name: str, stop_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make_algorithm(name, **SMALL, patience=9).fit(contract_data())
    monkeypatch.setenv(FOLDER, str(tmp_path))
    write, written = Checkpoint.write, []

    def write_and_stop(self: Checkpoint, state: dict[str, Any]) -> None:
        write(self, state)
        written.append(state["epoch"])
        if len(written) == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "write", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        make_algorithm(name, **SMALL, patience=9).fit(contract_data())
    assert len(list(tmp_path.iterdir())) == 1
    resumed = make_algorithm(name, **SMALL, patience=9).fit(contract_data())
    np.testing.assert_array_equal(_scores(resumed), _scores(expected))
    columns = ["phase", "epoch", "loss", "validation"]
    assert resumed.history_[columns].equals(expected.history_[columns])
    assert len(written) == len(expected.history_)
    assert not list(tmp_path.iterdir()), "a finished training leaves no checkpoint"


def test_a_damaged_checkpoint_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    model = make_algorithm("GMF", **SMALL)
    path = Checkpoint.of(model, contract_data().canonical()).path
    assert path is not None
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        model.fit(contract_data())


def test_fitting_leaves_the_settings_and_the_generator_of_pytorch_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    settings = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    make_algorithm("MultVAE", **SMALL).fit(contract_data())
    assert torch.equal(torch.get_rng_state(), before)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == settings


def test_a_training_that_runs_away_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"GMF: the loss is .* in epoch .*learning_rate=1e\+30 is too large"):
        make_algorithm("GMF", **SMALL, learning_rate=1e30).fit(contract_data())


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("GMF", {"n_epochs": 0}, "n_epochs must be a finite number above 0; found 0"),
        ("GMF", {"validation_share": 1.0}, "validation_share must be at least 0 and below 1; found 1.0"),
        ("GMF", {"device": "tpu"}, "device"),
        ("MLP", {"layers": ()}, r"layers are the widths of the hidden layers, such as \[64, 32\]; found \(\)"),
        ("MultVAE", {"anneal_cap": 2.0}, "anneal_cap must lie in 0 ... 1; found 2.0"),
        ("SASRec", {"n_heads": 3}, "n_heads must divide n_factors; found n_heads=3 and n_factors=64"),
    ],
)
def test_wrong_hyper_parameters_are_refused(name: str, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_algorithm(name, **wrong).fit(contract_data())


def test_new_users_and_other_catalogues_are_refused() -> None:
    model, histories = make_algorithm("GMF", **SMALL).fit(contract_data()), contract_data().matrix[:1]
    with pytest.raises(ValueError, match=r"GMF knows only the users it was fitted on; found a new one \(code -1\)"):
        model.score(np.array([-1], dtype=np.int32), histories)
    with pytest.raises(ValueError, match="histories have 49 columns; the model was fitted on 50 items"):
        model.score(np.array([0], dtype=np.int32), histories[:, :49])


def test_the_package_imports_no_pytorch() -> None:
    code = "import sys, recsys_lab, recsys_lab.algorithms.catalogue, recsys_lab.trials; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_pytorch_the_error_gives_the_command() -> None:
    code = """
import importlib.abc, sys
class NoTorch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
from recsys_lab import make_algorithm
try: make_algorithm("NeuMF")
except ImportError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "'NeuMF' needs PyTorch: pip install \"recsys_lab[torch]\""
