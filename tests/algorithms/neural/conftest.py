"""Neural tests are skipped, with the command to type, where PyTorch is missing."""

from __future__ import annotations

import importlib.util

collect_ignore_glob: list[str] = []
if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_training.py", "test_models.py", "test_published.py"]
