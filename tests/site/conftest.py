"""The built site, and a browser without a window. `make test-site` builds the site first."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "docs" / "_build" / "html"
# it asks nothing of the network; a container has no sandbox for it
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


@pytest.fixture(scope="session")
def html():
    """The folder of the pages."""
    assert (HTML / "index.html").exists(), "the site is not built: make docs"
    return HTML


@pytest.fixture(scope="session")
def browser():
    """A Chromium that is installed, $S4NN_CHROMIUM or in the path."""
    names = (os.environ.get("S4NN_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if name and (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium in the path (or S4NN_CHROMIUM): the tests in a browser are skipped")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """An empty page, 1000 px wide, which fails the test if it reports an error on the console or asks for a file that
    is not there."""
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    yield page
    context.close()
    assert not said
