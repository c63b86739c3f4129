"""Promoted versions in MLflow's registry: logged as a pyfunc, found by alias, fetched to a folder.

Every call is bounded, so that a registry that is down costs a replica seconds and not minutes. ``reading`` is what a
replica does, over HTTP without MLflow's client where that can be; ``client`` is what only MLflow's client can do.
"""

from recsys_lab.serving.model_store.client import load_pyfunc, log_version, move_back, save_pyfunc, set_alias
from recsys_lab.serving.model_store.reading import fetch_bundle, version_of
from recsys_lab.serving.model_store.version import Version

__all__ = [
    "Version",
    "fetch_bundle",
    "load_pyfunc",
    "log_version",
    "move_back",
    "save_pyfunc",
    "set_alias",
    "version_of",
]
