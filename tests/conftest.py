"""What all tests share: where the real data are, and which tests are slow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# CI tries the same cases each time, so that a red run is about the change; everybody else's runs look for new ones
# no deadlines: on a busy machine, or where a loop is compiled first, time says nothing about an example
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared data go to a folder of this test session, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_LAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets named by RECSYS_LAB_DATA."""
    folder = os.environ.get("RECSYS_LAB_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real data: set RECSYS_LAB_DATA to a folder with ml-100k, gowalla, ...")
    return Path(folder).resolve()
