"""Every page of the site: its links, what it loads, and whether it can be read on a small screen and in the dark."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from conftest import ROOT


class Links(HTMLParser):
    """What a page links to and loads, and the places in it that can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.places, self.pictures = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag in ("script", "img") and attributes.get("src"):
            self.loads.append(attributes["src"])
        if tag == "link" and attributes.get("rel") in ("stylesheet", "icon"):
            self.loads.append(attributes["href"])
        if tag == "img":
            self.pictures.append(attributes)


@pytest.fixture(scope="module")
def pages(html):
    return {path: Links(path.read_text()) for path in sorted(html.rglob("*.html")) if "_static" not in path.parts}


def test_links_lead_somewhere(pages):
    broken = []
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            url = urlsplit(link)
            if url.scheme:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            place = unquote(url.fragment)
            if not target.exists() or (place and target in pages and place not in pages[target].places):
                broken.append(f"{path.name}: {link}")
    assert not broken


def test_nothing_is_loaded_from_elsewhere(pages, html):
    for path, page in pages.items():
        assert not [load for load in page.loads if urlsplit(load).netloc], path
    for sheet in html.rglob("*.css"):
        assert not re.findall(r"url\([\"']?(?:https?:)?//", sheet.read_text()), sheet


def test_pictures_have_an_alternative_text(pages):
    for path, page in pages.items():
        assert not [picture["src"] for picture in page.pictures if not picture.get("alt", "").strip()], path


def test_the_checks_of_links_find_what_is_wrong():
    page = Links('<a id="here" href="gone.html#x"><img src="https://else.where/x.png"></a>')
    assert (page.links, page.loads, page.places) == (["gone.html#x"], ["https://else.where/x.png"], {"here"})
    assert not page.pictures[0].get("alt")


def test_no_line_of_a_document_is_a_comment_by_accident():
    """MyST leaves out a line that begins with %, as a number's unit may after a line break."""
    documents = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    lines = [(path, line) for path in [ROOT / "README.md", *documents] for line in path.read_text().splitlines()]
    assert not [f"{path.name}: {line}" for path, line in lines if line.lstrip().startswith("%")]


def test_the_search_box_finds_pages_without_a_server(html, page):
    page.goto((html / "index.html").as_uri())
    box = page.locator(".sidebar-search")
    box.fill("surrogate")
    box.press("Enter")
    page.wait_for_selector("#search-results li:has-text('Eq. 8: ')")
    page.wait_for_timeout(300)  # what it asks for beyond that, fails the test


@pytest.mark.parametrize("dark", [False, True])
def test_pages_are_readable_on_a_small_screen_and_in_the_dark(pages, page, dark):
    """Nothing is wider than the screen, and text stands out from what it stands on. Of the pages of source files, which
    are alike, a few."""
    page.set_viewport_size({"width": 400, "height": 800})
    page.emulate_media(color_scheme="dark" if dark else "light")
    sources = [path for path in pages if "source" in path.parts]
    for path in [path for path in pages if path not in sources] + sources[::20]:
        page.goto(path.as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400, f"{path.name}: {wide} px"
        light = page.evaluate("""() => {
            const value = (e, key) => getComputedStyle(e)[key].match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0)
            return [value(document.querySelector("article"), "color"), value(document.body, "backgroundColor")] }""")
        assert abs(light[0] - light[1]) > 350, path.name
