"""Every script of figures/ on a small record made here; records that are missing or foreign."""

import csv
import json
import shutil
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s4nn_ref.metrics import figures_of_merit
from s4nn_ref.paper import TABLE_2, TABLE_5
from s4nn_ref.record import read_record, read_responses
from s4nn_ref.report import comparison_text
from s4nn_ref.session import train

FIGURES = Path(__file__).resolve().parent.parent / "figures"
sys.path.insert(0, str(FIGURES))
SCRIPTS = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "anytime", "curves", "filters", "spike_times", "mistakes")


@pytest.fixture
def run(tiny_toml, data_dir, tmp_path):
    folder = tmp_path / "run"
    assert train(tiny_toml, data_dir, folder, epochs=20) == 0
    return folder


def test_every_script_draws(run, data_dir, tmp_path):
    out = tmp_path / "out"
    for name in SCRIPTS:
        module = import_module(name)
        figure = module.draw(import_module("common").Run(run, data_dir))
        import_module("common").save(figure, name, out)
        picture = np.asarray(Image.open(out / f"{name}.png").convert("L"))
        assert picture.std() > 5, f"{name} is blank"
        assert (out / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert import_module("animation").main([str(run), "--data", str(data_dir), "--out", str(out)]) == 0
    assert Image.open(out / "animation.gif").n_frames > 1


def test_all_figures_of_one_run(run, data_dir, tmp_path, capsys, monkeypatch):
    """Without the data set, what needs no image is drawn all the same, and the rest is named."""
    everything = import_module("draw_all")
    monkeypatch.delenv("S4NN_DATA", raising=False)
    out = tmp_path / "out"
    assert everything.main([str(run), "--data", str(data_dir), "--out", str(out)]) == 0
    assert {path.name for path in out.glob("fig*.png")} == {f"fig{i}.png" for i in (1, 2, 3, 4)}
    capsys.readouterr()
    without, nothing = tmp_path / "without", tmp_path / "nothing"
    nothing.mkdir()
    assert everything.main([str(run), "--data", str(nothing), "--out", str(without)]) == 0
    assert {path.stem for path in without.glob("*.png")} == {"fig1", "fig2", "fig4", "curves", "filters"}
    left_out = capsys.readouterr().err.splitlines()
    assert sorted(line.split()[0] for line in left_out) == ["animation", "anytime", "fig3", "mistakes", "spike_times"]


def test_a_run_on_fashion_mnist(run, data_dir, tmp_path, monkeypatch):
    """Its own figures, the names of its classes, and a folder beside that of the shipped runs."""
    record = json.loads((run / "record.json").read_text())
    record["config"]["data"]["dataset"] = "fashion-mnist"
    (run / "record.json").write_text(json.dumps(record))
    common, everything = import_module("common"), import_module("draw_all")
    one = common.opened(run, tmp_path / "nothing")
    assert one.classes == common.FASHION
    names = everything.names_of(one, alone=True)
    assert {"fig1", "fig3", "fig5", "fig6", "curves-fashion"} <= set(names)
    assert "fig2" not in names
    for name in ("fig5", "fig6"):
        labels = [text.get_text() for text in import_module(name).draw(one).axes[0].get_yticklabels()]
        assert labels == list(common.FASHION)
    monkeypatch.setattr(everything, "OUT", tmp_path / "figures")
    monkeypatch.setattr(common, "OUT", tmp_path / "figures")
    monkeypatch.delenv("S4NN_DATA", raising=False)
    monkeypatch.setattr("s4nn_ref.data.fetch", lambda *arguments: pytest.fail("a figure must not download"))
    assert everything.main([str(run), "--data", str(data_dir), "--out", str(tmp_path / "figures")]) == 0
    assert (tmp_path / "figures" / f"{run.parent.name}-{run.name}" / "fig6.png").exists()


@pytest.mark.parametrize("name", [*SCRIPTS, "animation", "draw_all"])
def test_a_missing_or_foreign_record_is_one_line(name, tmp_path, capsys):
    module = import_module(name)
    command = getattr(module, "main", None)
    if name in SCRIPTS:
        common = import_module("common")

        def command(argv):
            return common.main(module.draw, name, "mnist-plus", module.__doc__, argv)

    for content in (None, '{"format": "of another program"}', "no JSON"):
        folder = tmp_path / str(content is None)
        folder.mkdir(exist_ok=True)
        if content:
            (folder / "record.json").write_text(content)
        assert command([str(folder), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert len(error.strip().splitlines()) == 1
        assert "record.json" in error


def test_figures_agree_with_the_record(run, data_dir):
    one = import_module("common").Run(run, data_dir)
    counts = import_module("fig4").confusion(one)
    selected = one.record["selected"]["test"]
    accuracy = selected["accuracy_strict"]
    assert np.trace(counts) / counts.sum() == pytest.approx(accuracy)
    assert (counts.sum(axis=1) == np.bincount(one.labels, minlength=10)).all()
    aft = [None if a is None else pytest.approx(a) for a in selected["aft"]]
    assert [None if a is None else row[c] for c, (row, a) in enumerate(
        zip(import_module("fig2").mean_times(one), aft, strict=True))] == aft  # fmt: skip


def test_stopping_at_the_end_changes_nothing(run, data_dir):
    one = import_module("common").Run(run, data_dir)
    course = import_module("anytime").course(one)
    figures = figures_of_merit(one.responses, one.labels)
    assert course.accuracy[-1] == pytest.approx(figures["accuracy_strict"])
    assert course.spikes[-1] == pytest.approx(figures["mrn"]["total"])
    assert course.decided[-1] == pytest.approx(1 - figures["silent"])
    assert (np.diff(course.decided) >= 0).all()
    assert (np.diff(course.spikes) >= 0).all()


@pytest.fixture
def results(run, tmp_path):
    """The small run, three times, in the places of the shipped records."""
    for name in ("mnist", "mnist-plus", "fashion-plus"):
        for seed in range(3):
            shutil.copytree(run, tmp_path / "results" / name / f"seed{seed}")
    return tmp_path / "results"


def test_tables(results, run, tmp_path):
    out = tmp_path / "out"
    assert import_module("tables").main(["--results", str(results), "--out", str(out)]) == 0
    names = ("table1", "table2", "table3", "table4", "table5")
    rows = {name: list(csv.reader((out / f"{name}.csv").read_text().splitlines())) for name in names}
    accuracy = 100 * read_record(run)["selected"]["test"]["accuracy_strict"]
    ours = rows["table2"][1 + len(TABLE_2) :]
    assert [row[0] for row in ours] == ["mnist", "mnist-plus"]
    assert ours[0][3] == f"{accuracy:.2f} ± 0.00"
    assert ours[0][-1] == "3"
    assert [row[2] for row in rows["table2"][1 : 1 + len(TABLE_2)]] == ["quoted"] * len(TABLE_2)
    assert rows["table5"][1][2:12] == [str(value) for value in TABLE_5["AFT"]]
    responses, labels = read_responses(run)
    mrn = responses.spikes[labels == 3].sum(axis=1).mean()
    assert rows["table5"][4][5] == f"{mrn:.0f} ± 0"
    assert (out / "table3.md").read_text().count("\n| ") >= 4
    for row in rows.values():
        assert {len(cells) for cells in row} == {len(row[0])}


def test_the_median_run(results):
    common = import_module("common")
    for seed, accuracy in enumerate((0.5, 0.9, 0.7)):
        path = results / "mnist" / f"seed{seed}" / "record.json"
        record = json.loads(path.read_text())
        record["selected"]["test"]["accuracy_strict"] = accuracy
        path.write_text(json.dumps(record))
    assert common.median_run("mnist", results).name == "seed2"
    assert [path.name for path in common.runs_of("mnist", results)] == ["seed0", "seed1", "seed2"]


def test_tables_without_records_say_so(tmp_path, capsys):
    assert import_module("tables").main(["--results", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "s4nn train experiments/" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("experiments", "quoted"), [(["bs4nn"], "97.00 %"), (["s4nn"], "97.40 %"), (["s4nn", "mnist"], "99.30 %")]
)
def test_predecessors_stand_beside_what_is_quoted_of_them(experiments, quoted):
    table = comparison_text([read_record(FIGURES.parent / "results" / name / "seed0") for name in experiments])
    row = next(line for line in table.splitlines() if "test accuracy (strict)" in line)
    assert [cell.strip() for cell in row.split("|")][2] == quoted


def test_records_older_than_the_predecessors_are_of_ds4nn(run, tmp_path):
    record = json.loads((run / "record.json").read_text())
    del record["config"]["learning"]["algorithm"]
    (tmp_path / "record.json").write_text(json.dumps(record))
    common, old = import_module("common"), read_record(tmp_path)
    assert common.Run(tmp_path, None).algorithm == "ds4nn"
    assert comparison_text([old]) == comparison_text([read_record(run)])
