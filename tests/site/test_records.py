"""The build refuses numbers that are not those of the records, and marks of no number."""

import logging
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "figures")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It has 97.63 ± 0.14<!--=mnist strict--> %.", None),
        ("It has 97.64 ± 0.14<!--=mnist strict--> %.", "97.64 ± 0.14 stands here, the records say 97.63 ± 0.14"),
        ("It has 97.63<!--=mnist accuracy--> %.", "no number is called 'mnist accuracy'"),
    ],
)
def test_a_number_that_is_out_of_date_is_a_warning_with_its_line(text, said, tmp_path, monkeypatch, caplog):
    records = pytest.importorskip("press.records")
    document = tmp_path / "page.md"
    document.write_text(f"# Title\n\n{text}\n")
    monkeypatch.setattr(records, "documents", lambda: [document])
    with caplog.at_level(logging.WARNING, records.logger.logger.name):
        records.check(None)
    told = [(record.getMessage(), getattr(record, "location", None)) for record in caplog.records]
    if said is None:
        assert not told
        return
    ((message, location),) = told
    assert said in message
    assert f"{document}:3" in (location or message)


def test_the_site_shows_no_mark(html):
    for name in ("results", "ladder", "performance", "what-did-not-work"):
        page = (html / f"{name}.html").read_text()
        assert "<!--=" in page  # comments, which a reader does not see
        assert "&lt;!--" not in page
