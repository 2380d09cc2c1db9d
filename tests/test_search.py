"""`s4nn search`: spaces, what climbs, and that a search can be interrupted anywhere."""

import csv
import json

import numpy as np
import pytest
from conftest import TINY, assert_refused

from s4nn_ref.app.space import Space
from s4nn_ref.app.space_file import read_space
from s4nn_ref.errors import InputError

optuna = pytest.importorskip("optuna", reason="the extra s4nn_ref[sweep] is not installed: no test of searches")

from s4nn_ref.app import trials  # noqa: E402
from s4nn_ref.app.journal import Journal, Result  # noqa: E402

SPACE = """
base = "tiny"
trials = 4
sampler = "random"

[space]
network.padding = ["same", "valid"]
network.init.0.1 = {low = 10, high = 80}
network.init.2 = [[-2, 2], [-8, 12]]
training.batch = {low = 4, high = 32, log = true}

[[space.rule]]
optimiser.rule = "adam"
optimiser.eta.2 = {low = 0.01, high = 1.0, log = true}

[[space.rule]]
optimiser.rule = "sgd"
optimiser.eta = {low = 0.1, high = 0.5}
optimiser.momentum = [0.0, 0.9]
"""


@pytest.fixture
def space_of(tmp_path):
    """A space from text; its base is TINY."""
    (tmp_path / "tiny.toml").write_text(TINY)

    def of(text=SPACE) -> Space:
        (tmp_path / "space.toml").write_text(text)
        return read_space(tmp_path / "space.toml")

    return of


def drawn(space, **params):
    """Values by path where these were drawn."""
    return space.draw(optuna.trial.FixedTrial(params))


ADAM = {
    "network.padding": "valid", "network.init.0.1": 33, "network.init.2": "[-8, 12]", "training.batch": 7,
    "rule": "rule adam", "optimiser.eta.2 (rule adam)": 0.25,
}  # fmt: skip


def test_what_is_drawn_becomes_an_experiment(space_of):
    space = space_of()
    config = space.config(drawn(space, **ADAM), "trial0000")
    assert config.name == "trial0000"
    assert config.network.padding == "valid"
    assert config.network.init == ((-60, 33), (-30, 30), (-8, 12))  # one end of one layer, and one whole layer
    assert config.optimiser.eta == (0.4, 0.2, 0.25)
    assert config.training.batch == 7 and config.training.epochs == 3
    sgd = {k: v for k, v in ADAM.items() if "adam" not in str(k) + str(v)} | {
        "rule": "rule sgd", "optimiser.eta (rule sgd)": 0.125, "optimiser.momentum (rule sgd)": 0.9,
    }  # fmt: skip
    config = space.config(drawn(space, **sgd), "")
    assert type(config.optimiser).__name__ == "Sgd"
    assert (config.optimiser.eta, config.optimiser.momentum) == ((0.125,), 0.9)  # one for all: its data are not read
    # the base is as it was
    assert space.config({}, "").network.init == ((-60, 80), (-30, 30), (-2, 2))


def test_one_value_for_all_layers_becomes_a_list(space_of):
    space = space_of('[base]\nnetwork.structure = "4C3-8C3-10"\noptimiser.eta = 0.1\n[space]\noptimiser.eta.2 = [0.5]')
    assert space.config(drawn(space, **{"optimiser.eta.2": 0.5}), "").optimiser.eta == (0.1, 0.1, 0.5)
    space = space_of('[base]\nnetwork.structure = "4C3-10"\n[space]\nnetwork.init.1.0 = [-99.0]')
    low = space.config(drawn(space, **{"network.init.1.0": -99.0}), "").network.init
    assert low[1][0] == -99 and low[0][0] == -low[0][1] and low[1][1] < 99  # the others are what "auto" gives


def test_keys_that_exclude_each_other_are_told(space_of):
    space = space_of(SPACE.replace("optimiser.momentum", "optimiser.beta1"))
    values = drawn(space, **ADAM) | {("optimiser", "rule"): "sgd", ("optimiser", "beta1"): 0.5}
    with pytest.raises(InputError, match=r"unknown key optimiser\.beta1"):
        space.config(values, "")
    with pytest.raises(InputError, match=r"network\.init\.7: there is no place 7"):
        space.config({("network", "init", "7"): [0, 1]}, "")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('base = "tiny"', "", "missing key base"),
        ('base = "tiny"', 'base = "none"', "none"),
        ("trials = 4", "trials = 0", "trials = 0"),
        ("trials = 4", "trails = 4", "did you mean 'trials'"),
        ("trials = 4", 'objectives = ["speed"]', "expected some of accuracy, first_spike, decision_time, mrn"),
        ("trials = 4", 'objectives = ["accuracy", "mrn"]\npruner = "median"', "only rungs end trials"),
        ("trials = 4", "rungs = [{epochs = 1, keep = 0}, {}]", "rungs[0].keep = 0"),
        ("trials = 4", "rungs = [{keep = 0.5}]", "the last one has no rung above it"),
        ("trials = 4", "rungs = [{limits = 5}]", "unknown key rungs[0].limits"),
        ("trials = 4", "rungs = 3", "expected a list of tables"),
        ('["same", "valid"]', "[]", "at least one option"),
        ('["same", "valid"]', '["same", "same"]', "two options are alike"),
        ('["same", "valid"]', "[{a = 1}, {a = 2}]", "[[space.NAME]]"),
        ("high = 80}", "high = 5}", "low <= high"),
        ("high = 80}", 'high = "x"}', "expected numbers"),
        ("high = 80}", "high = inf}", "expected numbers"),
        ("high = 80}", "high = 80, step = 0.5}", "whole one between whole numbers"),
        ("high = 80}", "high = 80, steps = 2}", "unknown key steps of a range"),
        ("{low = 4, high = 32, log = true}", "{low = 0, high = 32, log = true}", "with log, 0 < low"),
        ("[space]", "[space]\nbatch = 3", "space.batch = 3"),
        ("[space]", "[spaces]", "spaces"),
        ("[space]", "[space", "not valid TOML"),
        ("[space]", "[space]\ntraining.epochs = [1, 2]", None),
    ],
)  # fmt: skip
def test_a_wrong_space_is_one_line(old, new, words, space_of):
    if words is None:
        assert space_of(SPACE.replace(old, new))
        old, new, words = "trials = 4", "rungs = [{epochs = 2}]", "every rung has epochs of its own"
        old, new = "[space]", f"{new}\n[space]\ntraining.epochs = [1, 2]"
    with pytest.raises(InputError) as error:
        space_of(SPACE.replace(old, new, 1))
    assert words in str(error.value) and "space.toml" in str(error.value)


def params_of(journal, most):
    found = []
    for trial, _ in journal.trials(most):
        found.append(trial.params)
        journal.tell(Result(trial.number, 0, "failed", "", trial.params, {}, {}, []))
    return found


def test_an_interrupted_search_draws_what_it_would_have_drawn(space_of, tmp_path):
    space = space_of()
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    straight = params_of(Journal(space, tmp_path / "a"), 5)
    assert len({json.dumps(params) for params in straight}) == 5
    parts = params_of(Journal(space, tmp_path / "b"), 2)
    trial, values = next(Journal(space, tmp_path / "b").trials(5))  # begun, and the process dies while it writes
    with (tmp_path / "b" / "journal.log").open("a") as file:
        file.write('{"op_code":')
    (tmp_path / "b" / "journal.log.lock").symlink_to("journal.log")
    again, same = next(Journal(space, tmp_path / "b").trials(5))
    assert (again.number, again.params, same) == (trial.number, trial.params, values)
    assert parts + params_of(Journal(space, tmp_path / "b"), 5) == straight


def test_a_journal_belongs_to_one_space(space_of, tmp_path):
    Journal(space_of(), tmp_path)
    Journal(space_of(SPACE.replace("trials = 4", "trials = 9")), tmp_path)
    with pytest.raises(InputError, match="belongs to another space"):
        Journal(space_of(SPACE.replace("high = 80", "high = 90")), tmp_path)


def test_a_bad_trial_is_pruned_and_a_good_one_is_not(space_of, tmp_path):
    space = space_of(SPACE.replace('sampler = "random"', 'pruner = "median"'))
    journal, metrics = Journal(space, tmp_path), dict.fromkeys(("first_spike", "decision_time", "mrn"), 1.0)
    assert journal.prunes
    source = journal.trials(9)
    for accuracy in (0.5, 0.6, 0.7, 0.6, 0.5):
        trial, _ = next(source)
        assert not journal.prune(trial, accuracy, 1)
        result = Result(trial.number, 0, "complete", "", trial.params, {}, {"accuracy": accuracy, **metrics}, [])
        journal.tell(result)
    assert journal.prune(next(source)[0], 0.4, 1)
    assert not journal.prune(next(source)[0], 0.8, 1)
    shares = journal.importance()["accuracy"]
    assert set(shares) > {"training.batch", "rule"} and sum(shares.values()) == pytest.approx(1)


def result(number, accuracy, mrn, state="complete", rung=0):
    values = {"accuracy": accuracy, "first_spike": accuracy, "decision_time": 1.0, "mrn": mrn}
    return Result(number, rung, state, "", {}, {}, values if state == "complete" else {}, [])


def numbers(results):
    return [one.number for one in results]


def test_fronts_and_climbers_by_hand():
    some = [result(0, 0.9, 500), result(1, 0.8, 100), result(2, 0.85, 600), result(3, 0.7, 90), result(4, 0.7, 95)]
    some.append(result(5, 0, 0, "pruned"))
    both = ("accuracy", "mrn")
    assert [numbers(front) for front in trials.fronts(some[:5], both)] == [[0, 1, 3], [2, 4]]
    assert numbers(trials.climbers(some, 0.4, both)) == [0, 1]
    assert numbers(trials.climbers(some, 0.5, ("accuracy",))) == [0, 2, 1]  # 2.5, rounded up
    assert numbers(trials.climbers(some, 0.2, ("mrn",))) == [3]
    assert [numbers(f) for f in trials.fronts([result(0, 1, 1), result(1, 1, 1)], both)] == [[0, 1]]
    assert trials.climbers([some[5]], 1, both) == []


LADDER = """
base = "tiny"
trials = 3
sampler = "random"
rungs = [{limit = 60, epochs = 1, keep = 0.5}, {limit = 96, epochs = 2, seeds = 2}]

[space]
optimiser.eta.0 = {low = 0.1, high = 0.5}
network.padding = ["same", "valid"]
"""


def rows_of(folder):
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_search_climbs_its_rungs_and_goes_on(scheduler, data_dir, tiny_toml, tmp_path, s4nn):
    (tmp_path / "space.toml").write_text(LADDER)
    out = tmp_path / "out"
    command = ["search", tmp_path / "space.toml", "--data", data_dir, "--out", out, "--scheduler", scheduler]
    code, text, _ = s4nn(*command)
    assert code == 0
    rows = rows_of(out)
    assert [row["rung"] for row in rows] == ["0", "0", "0", "1", "1"]
    assert {row["state"] for row in rows} == {"complete"}
    assert [(row["limit"], row["epochs"], row["seeds"]) for row in rows[2:4]] == [("60", "1", "1"), ("96", "2", "2")]
    ranked = sorted((float(row["accuracy"]) for row in rows[:3]), reverse=True)
    assert sorted(float(rows[int(row["trial"])]["accuracy"]) for row in rows[3:]) == sorted(ranked[:2])
    assert [len(seed) for seed in json.loads(rows[4]["curves"])] == [2, 2]
    # the whole experiment is in the table, and a trial is a run that anybody can repeat
    assert json.loads(rows[3]["optimiser.eta"])[1:] == [0.2, 0.02]
    assert rows[3]["data.dataset"] == "tiny" and rows[3]["training.select"] == "best"
    toml = out / "rung1" / f"trial{int(rows[3]['trial']):04d}.toml"
    epochs = []
    for seed in (0, 1):
        alone = ("train", toml, "--limit", 96, "--data", data_dir, "--seed", seed, "--out", tmp_path / f"alone{seed}")
        assert s4nn(*alone)[0] == 0
        record = json.loads((tmp_path / f"alone{seed}" / "record.json").read_text())
        epochs.append(record["history"][record["selected"]["epoch"] - 1]["validation"]["accuracy_strict"])
    assert float(rows[3]["accuracy"]) == pytest.approx(np.mean(epochs), rel=1e-5)
    # nothing of the test set; the lower rung left no runs
    assert not list(out.rglob("responses.npz")) and not list(out.rglob("record.json"))
    assert not list((out / "rung0").glob("*/")) and len(list((out / "rung1").glob("*/seed1/weights.npz"))) == 2
    assert "rung 1 (96 images, epochs: 2, seeds: 2): 2 complete" in text and "best trial, rung 1" in text
    assert (out / "pareto.png").stat().st_size > 10_000 and (out / "summary.md").read_text().strip() in text
    # more trials: those that are done stay
    code, text, _ = s4nn(*command, "--trials", 4)
    assert code == 0
    more = rows_of(out)
    assert len([row for row in more if row["rung"] == "0"]) == 4 and more[:3] == rows[:3]
    assert "rung 0 trial 2" not in text and "rung 0 trial 3: complete" in text


def test_impossible_trials_are_counted_and_hopeless_searches_end(scheduler, data_dir, tiny_toml, tmp_path, s4nn):
    (tmp_path / "space.toml").write_text(
        'base = "tiny"\ntrials = 4\nsampler = "random"\nrungs = [{epochs = 1, limit = 24}]\n[space]\n'
        'learning.gamma = [1]\nnetwork.structure = ["8C3-P2-8C3-P2-10"]\n'
    )
    search = ("search", tmp_path / "space.toml", "--out", tmp_path / "out", "--scheduler", scheduler, "--data")
    code, text, _ = s4nn(*search, data_dir)
    assert code == 0 and "rung 0 (24 images, epochs: 1, seeds: 1): 4 infeasible" in text
    rows = rows_of(tmp_path / "out")
    assert [row["state"] for row in rows] == ["infeasible"] * 4
    assert all("unknown key learning.gamma" in row["reason"] for row in rows)
    assert json.loads(rows[0]["drawn"]) == {"learning.gamma": 1, "network.structure": "8C3-P2-8C3-P2-10"}
    (tmp_path / "space.toml").write_text('base = "tiny"\ntrials = 9\n[space]\noptimiser.eta = [0.1, 0.2]\n')
    search = ("search", tmp_path / "space.toml", "--out", tmp_path / "none", "--scheduler", scheduler, "--data")
    assert_refused(s4nn(*search, tmp_path), "the first 3 trials failed", "tiny", "another --out")


def test_the_shipped_space_is_one(monkeypatch):
    """The ladder of the search over readings: every trial is possible, and the equations stay."""
    space = read_space("experiments/search/mnist.toml")
    assert [(rung.limit, rung.epochs, rung.seeds) for rung in space.rungs] == [
        (8000, 1, 1), (25000, 2, 1), ("all", 6, 1), ("all", "experiment", 3),
    ]  # fmt: skip
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    configs = [space.config(space.draw(study.ask()), "") for _ in range(60)]
    for config in configs:
        assert (config.learning.loss.lam, config.learning.loss.hinge, config.network.v_th) == (10, False, 100)
        assert config.network.collapse == (1, 1, 1) and config.network.t_max == 100
    adam = [config for config in configs if hasattr(config.optimiser, "beta2")]
    assert 15 < len(adam) < 45 and all(config.optimiser.eta[:2] == (0.1, 0.1) for config in adam)
    assert 0 in {config.network.init[0][0] for config in configs}


def test_usage(tmp_path, s4nn, monkeypatch):
    assert_refused(s4nn("search", tmp_path / "none.toml"), "none.toml", "one of the spaces: mnist")
    assert_refused(s4nn("search", tmp_path / "none.toml", "--trials", 0), "--trials")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "optuna" else name)
    assert_refused(s4nn("search", tmp_path / "none.toml"), "optuna", 'pip install "s4nn_ref[sweep]"')
