"""The documents and the code name the same things: equations, departures, keys, files, tests; every link is good."""

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from s4nn_ref import network
from s4nn_ref.algorithms import SETTINGS
from s4nn_ref.algorithms.ds4nn import LOSSES
from s4nn_ref.config import config_of_dict
from s4nn_ref.data import dataset
from s4nn_ref.schedules import SCHEDULES
from s4nn_ref.training import augmentation, loop
from s4nn_ref.training.optimisers import RULES

ROOT = Path(__file__).resolve().parent.parent
LOG = sorted((ROOT / "docs" / "log").glob("*.md"))
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
DOCUMENTS = [ROOT / "README.md", *(path for path in PAGES if path not in LOG)]
SOURCES = [
    path
    for folder in ("s4nn_ref", "tests", "experiments", "figures", "docs")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not {"_build", "drawn"} & set(path.parts)
]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.toml"))
REFERENCE = (ROOT / "s4nn_ref" / "reference" / "ds4nn.py").read_text()


def text_of(paths):
    return "\n".join(path.read_text() for path in paths)


def numbers(letter, text):
    return {int(n) for n in re.findall(rf"\b{letter}(\d+)\b", text)}


def equations(text):
    """Numbers of equations that a text names: Eq. 3, Eqs. 2-3, Eqs. 4-6 and 9."""
    found = set()
    for group in re.findall(r"\bEqs?\. (\d+(?:(?:-|, | and )\d+)*)", text):
        for part in re.split(r", | and ", group):
            first, _, last = part.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
    return found


def settings_classes():
    """The classes of settings, by the section whose keys they are."""
    learning = [SETTINGS[name] for name in SETTINGS if name != "toy"]
    return {
        "network": [network.Settings],
        "data": [dataset.Settings],
        "learning": learning + [LOSSES[name] for name in LOSSES] + list(SCHEDULES.values()),
        "optimiser": list(RULES.values()) + list(SCHEDULES.values()),
        "augment": [augmentation.Settings],
        "training": [loop.Settings],
    }


def keys():
    chosen = {"learning": {"algorithm"}, "optimiser": {"rule"}}
    return {
        section: {f.name for kind in kinds for f in fields(kind)} | chosen.get(section, set())
        for section, kinds in settings_classes().items()
    }


def test_every_equation_closes_exactly_one_line_of_the_document():
    code = REFERENCE.partition("import NamedTuple")[2]
    closed = []
    for line in code.splitlines():
        statement, _, tag = line.partition("  # ")
        if found := equations(tag):
            assert re.search(r"[=+]|return", statement), f"no code before the tag: {line}"
            closed += sorted(found)
    assert sorted(closed) == list(range(1, 13))


def test_equations_that_are_named_exist_and_all_are_derived():
    # other papers' equations are not cited by number
    for path in {*DOCUMENTS, *LOG, *SOURCES} - {Path(__file__).resolve()}:
        assert equations(path.read_text()) <= set(range(1, 13)), path
    assert equations((ROOT / "docs" / "derivation.md").read_text()) == set(range(1, 13))


def test_departures_have_a_section_each_and_are_named_by_the_code():
    sections = re.findall(r"^## (D\d+) (.*)", (ROOT / "docs" / "deviations.md").read_text(), re.M)
    assert len({number for number, _ in sections}) == len(sections)
    known = {int(number[1:]) for number, _ in sections}
    removed = {int(number[1:]) for number, title in sections if "removed" in title.lower()}
    code = text_of([*SOURCES, *EXPERIMENTS])
    assert numbers("D", code) <= known
    assert numbers("D", text_of([*DOCUMENTS, *LOG])) <= known
    assert known - removed <= numbers("D", code)


def test_sections_of_departures_are_whole():
    text = (ROOT / "docs" / "deviations.md").read_text()
    for section in re.split(r"^## (?=D\d)", text, flags=re.M)[1:]:
        title, body = section.split("\n", 1)
        if "removed" in title.lower():
            continue
        for part in ("The paper", "Here", "Why", "Key", "Used by", "Test"):
            assert f"**{part}:**" in body, f"{title}: {part}"


def test_keys_that_are_named_exist_and_all_are_explained():
    known = keys()
    configuration = (ROOT / "docs" / "configuration.md").read_text()
    for path in [*DOCUMENTS, *LOG, *SOURCES]:
        for section, key in re.findall(r"`(network|data|learning|optimiser|augment|training)\.(\w+)", path.read_text()):
            if path.name in ("test_documents.py", "test_config.py") or key in ("py", "md"):
                continue
            assert key in known[section], f"{path.name}: {section}.{key}"
    for section, names in known.items():
        part = re.search(rf"^## \[{section}\].*?(?=^## |\Z)", configuration, re.M | re.S)[0]
        explained = set(re.findall(r"`(\w+)`", part))
        assert names <= explained, f"{section}: {names - explained}"


def test_tests_that_are_named_exist():
    there = set(re.findall(r"^def (test_\w+)", text_of(sorted((ROOT / "tests").glob("test_*.py"))), re.M))
    files = {path.stem for path in (ROOT / "tests").glob("test_*.py")}
    named = set(re.findall(r"`(test_\w+)`", text_of(DOCUMENTS)))
    assert named <= there | files, named - there - files


def test_files_that_are_named_exist():
    for path in [*DOCUMENTS, *LOG]:
        text = path.read_text()
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name} links to {target}"
        for name in re.findall(r"`((?:s4nn_ref|docs|tests|figures|experiments|weights|results)/[\w./-]+\.\w+)`", text):
            if not re.search(r"NAME|EXPERIMENT|RUNG", name):
                assert (ROOT / name).exists(), f"{path.name} names {name}"


def test_links_to_sections_are_good():
    def anchors(path):
        titles = re.findall(r"^#+ (.*)", path.read_text(), re.M)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    for path in [*DOCUMENTS, *LOG]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", path.read_text()):
            assert anchor in anchors(path.parent / target if target else path), f"{path.name}: {target}#{anchor}"


def test_every_file_is_named_somewhere():
    house = (ROOT / "docs" / "house.md").read_text()
    for path in sorted((ROOT / "s4nn_ref").rglob("*.py")):
        name = path.relative_to(ROOT / "s4nn_ref").as_posix()
        if path.name != "__init__.py":
            assert f"`{name}`" in house, name
    everything = text_of([*DOCUMENTS, *LOG])
    for path in [*DOCUMENTS[1:], *LOG]:
        assert path.name in everything, path
    for path in EXPERIMENTS:
        assert f"`{path.stem}`" in everything or f"{path.stem}.toml" in everything, path


def test_documents_are_as_long_as_a_reader_stands():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    assert len((ROOT / "docs" / "results.md").read_text().splitlines()) <= 150
    assert len((ROOT / "docs" / "ladder.md").read_text().splitlines()) <= 60


def test_numbers_are_those_of_the_records():
    command = [sys.executable, ROOT / "figures" / "results.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def unread(text):
    """Means over seeds that a text types, instead of naming the record that they are read from."""
    lines, typed = text.split("\n"), []
    for at, line in enumerate(lines):
        if line.startswith("|"):
            top = next(i for i in range(at, -1, -1) if not lines[i].startswith("|"))
            if lines[top].startswith("<!--table "):
                continue
        typed += re.findall(r"\d+(?:\.\d+)? ± \d+(?:\.\d+)?(?!\.?\d|<!--=)", line)
    return typed


def test_means_over_seeds_are_read_from_records():
    assert "± 0.03<!--=" in text_of(DOCUMENTS)
    for path in DOCUMENTS:
        assert not unread(path.read_text()), path
    table = "| a | 1.0 ± 0.1 |\n|---|---|"
    assert unread(f"97.63 ± 0.14 %, 4.2 ± 0.2<!--=mnist x-->.\n\n{table}") == ["97.63 ± 0.14", "1.0 ± 0.1"]
    assert not unread(f"\n<!--table mnist-->\n{table}")


def test_readme_shows_an_animation_and_two_pictures_of_2_mb():
    shown = re.findall(r"!\[([^\]]*)\]\((docs/pictures/[\w.]+)\)", (ROOT / "README.md").read_text())
    files = sorted((ROOT / "docs" / "pictures").iterdir())
    assert sorted(ROOT / path for _, path in shown) == files
    assert sorted(path.suffix for path in files) == [".gif", ".png", ".png"]
    assert sum(path.stat().st_size for path in files) <= 2_000_000
    assert all(len(alt) > 40 for alt, _ in shown)


def blocks(language):
    """But for those of docs/data.md, which test_own_data.py runs, of docs/python.md, for test_python.py and
    test_sklearn.py, and but for cells, which test_cells.py runs."""
    texts = text_of(path for path in DOCUMENTS if path.name not in ("data.md", "python.md"))
    texts = re.sub(r"<!-- (?:run|save)[^>]*-->\n+```python\n.*?```", "", texts, flags=re.S)
    return re.findall(rf"```{language}\n(.*?)```", texts, re.S)


def test_blocks_of_the_documents_run(monkeypatch):
    for block in blocks("toml"):
        assert config_of_dict(tomllib.loads(block)).network.structure
    monkeypatch.chdir(ROOT)
    for block in blocks("python"):
        names = {}
        exec(block, names)
        assert (names["classes"] == names["y"][:100]).mean() > 0.8
    assert len(blocks("toml")) == len(blocks("python")) == 1


OLD = r"\bhaste\b|\breadout\b|figures of merit|\bpredecessors?\b|\brivals?\b|\bbehind\b|which is none\b"


@pytest.mark.parametrize("path", [*DOCUMENTS, *SOURCES, *EXPERIMENTS], ids=lambda p: str(p.relative_to(ROOT)))
def test_words_are_the_fields(path):
    if path.name not in ("legacy.py", "test_documents.py", "test_config.py", "test_mnist.py"):
        assert not re.findall(OLD, path.read_text(), re.I)


def test_the_check_of_equations_finds_what_is_wrong():
    assert equations("Eqs. 2-3 and 10, Eq. 12") == {2, 3, 10, 12}
    assert equations("Eq. 13") == {13}


def test_the_oldest_packages_that_are_tested_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    lowest = dict(re.match(r"(\S+) >= ([\d.]+)", bound).groups() for bound in bounds)
    makefile = (ROOT / "Makefile").read_text()
    oldest = dict(re.findall(r"(\w+)==([\d.]+)", re.search(r"^OLDEST = (?:.*\\\n)*.*", makefile, re.M)[0]))
    assert set(lowest) - set(oldest) == {"ruff", "setuptools", "pytest-xdist"}  # which no test runs with
    assert [name for name in oldest if f"{oldest[name]}.".startswith(f"{lowest[name]}.")] == list(oldest)
