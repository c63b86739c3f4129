"""The page in a real Chromium on real replicas: what somebody sees, clicks and is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import quote

import pytest

from recsys_lab.serving import model_store
from recsys_lab.serving.bundle import save_bundle
from tests.service.browser import Browser
from tests.service.conftest import new_run
from tests.service.parts import KEY, Replica, fetch, wait_for, works
from tests.serving.apps import bundle_of, trial_of

pytestmark = pytest.mark.service

NAME = "recommender"
SHOWN = "[...document.querySelectorAll('#lists section{} .card h3')].map((one) => one.textContent)"
CHANGED = SHOWN.format("") + ".join('|') !== {}"


@dataclass(frozen=True)
class Site:
    """A replica whose champion folds in and whose challenger cannot."""

    replica: Replica
    registry: str
    versions: list[str]
    folder: Path

    def list(self, user: str, **options: Any) -> list[str]:
        """The titles that the API answers with."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        got = fetch(f"{self.replica.url}/v1/users/{quote(user)}/recommendations?{query}")
        return [one["title"] for one in got["items"]]

    def another(self, name: str, **environ: str) -> Replica:
        """A second replica with other settings."""
        return _replica(self.folder, self.registry, name, environ)


def _replica(folder: Path, registry: str, name: str, environ: dict[str, str]) -> Replica:
    kept = {"RECSYS_LAB_REGISTRY_URI": registry, "RECSYS_LAB_POLL_SECONDS": "0.5"}
    kept["RECSYS_LAB_DATABASE_URL"] = f"sqlite:///{folder / name}.db"
    return Replica(folder / name, kept | environ)


def _registered(registry: str, folder: Path, algorithm: str) -> str:
    """A version of ``algorithm`` in MLflow's registry; its number."""
    place = folder / algorithm / "bundle"
    place.parent.mkdir()
    about = {"label": algorithm, "metrics": {"ndcg@10": 0.25}}
    save_bundle(bundle_of(algorithm), place, about, trial_of(bundle_of(algorithm)))
    return model_store.log_version(registry, NAME, place, run_id=new_run(registry, folder), tags={}).number


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    registry = f"sqlite:///{folder}/mlflow.db"
    versions = [_registered(registry, folder, name) for name in ("EASE", "BPR")]
    for alias, version in zip(("champion", "challenger"), versions, strict=True):
        model_store.set_alias(registry, NAME, alias, version)
    replica = _replica(folder, registry, "replica", {})
    try:
        replica.start()
        wait_for(replica.is_ready, "the replica")
        wait_for(lambda: fetch(f"{replica.url}/v1/model")["challenger"] is not None, "the challenger")
        yield Site(replica, registry, versions, folder)
    finally:
        replica.end()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser; a test fails when the console had an error, or something violated the policy."""
    chromium.errors.clear()
    yield chromium
    chromium.ask("1")  # what the console said until now
    assert chromium.errors == []


def _shown(browser: Browser, part: str = "") -> list[str]:
    found: list[str] = browser.ask(SHOWN.format(part))
    return found


def _open(browser: Browser, site: Site, query: str = "", width: int = 1280) -> None:
    browser.open(f"{site.replica.url}/{query}", width)
    browser.wait("document.querySelectorAll('#lists .card').length >= 10")


def test_a_user_is_picked_and_likes_something(browser: Browser, site: Site) -> None:
    _open(browser, site)
    status = browser.ask("document.querySelector('#status').innerText")
    assert "champion: EASE, version 1" in status
    assert "challenger: BPR, version 2" in status
    first = _shown(browser)
    user = browser.ask("document.querySelector('#users li:nth-child(3) button span').textContent")
    browser.click("#users li:nth-child(3) button")
    browser.wait(CHANGED.format(repr("|".join(first))))
    own = _shown(browser)
    assert own == site.list(user)
    assert browser.ask("document.querySelector('#has-title').textContent").startswith(f"User {user} has ")
    assert browser.ask("document.querySelector('.card .why').textContent").startswith("because you have ")

    browser.click("#lists .card:nth-child(2) .like")
    browser.wait("document.querySelector('.tag').textContent === 'folded in'")
    liked = _shown(browser)
    assert own[1] not in liked
    item = next(
        one for one in fetch(f"{site.replica.url}/v1/items?q={quote(own[1])}")["items"] if one["title"] == own[1]
    )
    body = {"user_id": user, "items": [{"item_id": item["item_id"]}]}
    assert liked == [one["title"] for one in fetch(f"{site.replica.url}/v1/recommendations", body)["items"]]
    assert liked != [title for title in site.list(user, k=11) if title != own[1]]  # more than the item left out

    browser.click("#lists .card:nth-child(1) .dislike")
    browser.wait("document.querySelectorAll('#taste li').length === 2")
    browser.wait(CHANGED.format(repr("|".join(liked))))
    after = _shown(browser)
    assert liked[0] not in after
    _open(browser, site, f"?user={quote(user)}")  # the service remembers, and so does the page
    browser.wait("document.querySelectorAll('#taste li').length === 2")
    assert browser.ask("[...document.querySelectorAll('#taste button')].map((one) => one.className)") == [
        "like",
        "dislike",
    ]
    assert _shown(browser) == after
    browser.click("#forget")
    browser.wait("document.querySelector('.tag').textContent === 'from the model'")
    assert _shown(browser) == own

    def stored() -> bool:
        with sqlite3.connect(f"{site.folder}/replica.db") as connection:
            query = "SELECT event, item_id, list_id FROM feedback WHERE user_id = ? ORDER BY seq"
            rows = connection.execute(query, (user,)).fetchall()
        if len(rows) < 4:
            return False
        assert [row[0] for row in rows] == ["like", "dislike", "retract", "retract"]
        assert rows[0][1] == item["item_id"]
        assert [row[1:] for row in rows[:2]] == [row[1:] for row in rows[2:]]  # of the same lists
        return True

    wait_for(stored, "all events in the database", 20)


def test_champion_and_challenger_stand_side_by_side(browser: Browser, site: Site) -> None:
    user = fetch(f"{site.replica.url}/v1/users")["users"][4]["user_id"]
    _open(browser, site, f"?user={quote(user)}")
    browser.choose("#model", "both")
    browser.wait("document.querySelectorAll('#lists section').length === 2")
    lists = [_shown(browser, f":nth-child({place})") for place in (1, 2)]
    assert lists == [site.list(user, model=role) for role in ("champion", "challenger")]
    heads = browser.ask(
        "[...document.querySelectorAll('.list-head')].map((one) => one.innerText.split('\\n').join(' '))"
    )
    assert heads[0].startswith("Champion EASE, version 1")
    assert heads[1].startswith("Challenger BPR, version 2")
    common = len(set(lists[0]) & set(lists[1]))
    assert browser.ask("document.querySelector('#overlap').textContent") == f"{common} of 10 items stand in both lists."
    tops = browser.ask("[...document.querySelectorAll('#lists section')].map((one) => one.getBoundingClientRect().top)")
    assert tops[0] == tops[1]
    browser.click("#lists section:nth-child(2) .card .like")
    browser.wait(
        "document.querySelector('#lists section:nth-child(2)').innerText.includes('This model cannot fold in')"
    )
    assert lists[1][0] not in _shown(browser, ":nth-child(2)")


def test_similar_items(browser: Browser, site: Site) -> None:
    _open(browser, site)
    title = _shown(browser)[0]
    browser.click("#lists .card .similar")
    browser.wait("document.querySelector('#similar').open")
    assert browser.ask("document.querySelector('#similar-title').textContent") == f"Like {title}"
    items = fetch(f"{site.replica.url}/v1/items?q={quote(title)}")["items"]
    item = next(one["item_id"] for one in items if one["title"] == title)
    expected = [one["title"] for one in fetch(f"{site.replica.url}/v1/items/{quote(item)}/similar?k=8")["items"]]
    assert browser.ask("[...document.querySelectorAll('#similar h3')].map((one) => one.textContent)") == expected
    browser.press("Escape")
    browser.wait("!document.querySelector('#similar').open")


def test_searches(browser: Browser, site: Site) -> None:
    _open(browser, site)
    title = _shown(browser)[3]
    browser.click("#item-search")
    browser.type(title.lower())
    browser.wait(f"[...document.querySelectorAll('#found h3')].some((one) => one.textContent === {title!r})")
    browser.click("#user-search")
    browser.type("no such user")
    browser.wait("document.querySelector('#users').innerText === 'No such user'")


def test_everything_can_be_reached_with_the_keyboard(browser: Browser, site: Site) -> None:
    _open(browser, site)
    own, met = _shown(browser), []
    for _ in range(80):
        browser.press("Tab")
        met.append(browser.ask("document.activeElement.id || document.activeElement.className"))
        if met[-1] == "like":
            break
    assert {"user-search", "model", "genre", "k", "item-search", "like"} <= set(met)
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    browser.wait("document.querySelectorAll('#taste li').length === 1")
    browser.wait(CHANGED.format(repr("|".join(own))))
    assert browser.ask("document.activeElement.className") == "like"  # the next one can be liked at once
    browser.press("Tab")
    assert browser.ask("document.activeElement.className") == "dislike"


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
@pytest.mark.parametrize("path", ["", "?model=both", "docs"])
def test_nothing_is_wider_than_the_window(browser: Browser, site: Site, path: str, width: int) -> None:
    browser.open(f"{site.replica.url}/{path}", width)
    browser.wait("document.querySelectorAll('#lists .card, #routes tr').length >= 8")
    assert browser.ask("[document.documentElement.scrollWidth, innerWidth]") == [width, width]


def test_a_promotion_is_seen_while_the_page_is_open(browser: Browser, site: Site) -> None:
    _open(browser, site)
    before = _shown(browser)
    model_store.set_alias(site.registry, NAME, "champion", site.versions[1])
    try:
        browser.wait("document.querySelector('#status').innerText.includes('champion: BPR, version 2')", 40)
        browser.wait("document.querySelector('.list-head').innerText.includes('BPR, version 2')")
        assert _shown(browser) != before
    finally:
        model_store.set_alias(site.registry, NAME, "champion", site.versions[0])
        wait_for(lambda: site.replica.version() == site.versions[0], "the first version")


def test_a_key_is_asked_for_and_kept(chromium: Browser, site: Site) -> None:
    replica = site.another("guarded", RECSYS_LAB_API_KEY=KEY)
    replica.start()
    try:
        wait_for(replica.is_ready, "the replica")
        chromium.open(f"{replica.url}/")
        chromium.wait("!document.querySelector('#key-form').hidden")
        assert (
            chromium.ask("document.querySelector('#status').textContent")
            == "This service asks for a key; give it above."
        )
        chromium.click("#key")
        chromium.type("schlüssel 🗝")
        chromium.press("Enter")
        chromium.wait("document.querySelector('#status').textContent === 'This key is not right.'")
        chromium.ask("document.querySelector('#key').value = ''")
        chromium.click("#key")
        chromium.type(KEY)
        chromium.press("Enter")
        chromium.wait("document.querySelectorAll('#lists .card').length === 10")
        assert chromium.ask("document.querySelector('#key-form').hidden")
        chromium.open(f"{replica.url}/?again")
        chromium.wait("document.querySelectorAll('#lists .card').length === 10")
        assert all("401" in one for one in chromium.errors)
        assert KEY not in replica.log.read_text()
    finally:
        replica.end()


def test_without_a_model_the_page_says_so_and_recovers(chromium: Browser, site: Site) -> None:
    replica = site.another("waiting", RECSYS_LAB_ALIAS="soon")
    replica.start()
    try:
        wait_for(lambda: works(f"{replica.url}/healthz"), "the replica")
        chromium.errors.clear()
        chromium.open(f"{replica.url}/")
        chromium.wait("document.querySelector('#lists .note').textContent.includes('no model is loaded yet')")
        model_store.set_alias(site.registry, NAME, "soon", site.versions[0])
        chromium.wait("document.querySelectorAll('#lists .card').length === 10", 60)
        assert "version 1" in chromium.ask("document.querySelector('#status').innerText")
        assert all("503" in one for one in chromium.errors)
    finally:
        replica.end()


def test_a_replica_that_cannot_ask_the_registry_says_so(browser: Browser, site: Site) -> None:
    replica = site.another("alone", RECSYS_LAB_REGISTRY_URI="http://127.0.0.1:9")
    copytree(site.folder / "replica" / "bundles", site.folder / "alone" / "bundles")
    replica.start()
    try:
        wait_for(replica.is_ready, "the replica")
        browser.open(f"{replica.url}/")
        browser.wait("document.querySelectorAll('#lists .card').length === 10")
        assert "stale: the registry does not answer" in browser.ask("document.querySelector('#status').innerText")
        assert browser.ask("document.querySelector('.tag.warn').textContent") == "stale"
    finally:
        replica.end()
