"""Warnings of runs that will not learn: each from a small network that really has that trouble, and none without."""

import tomllib

import numpy as np
import pytest
from conftest import TARGETS, TINY, online_toml, with_first_spike, write_idx_set

from s4nn_ref.app.record import read_record
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.training import health
from s4nn_ref.training.health import Look, Watch

INIT, ETA = "init = [[-60, 80], [-30, 30], [-2, 2]]", "eta = [0.4, 0.2, 0.02]"
ALIKE = TINY.replace("8C3-P2-8C3", "8C3-P2-6C3")  # layers of different names
STILL = ALIKE.replace(ETA, "eta = 1e-6")
SPIKING = with_first_spike(ALIKE)


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    """A look is 200 images here."""
    monkeypatch.setattr(health, "WINDOW", 200)
    monkeypatch.setattr(health, "UPDATES", 1)


@pytest.fixture
def warnings(s4nn, data_dir, tmp_path):
    """Train an experiment; the warnings that are printed."""

    def of(text, *more):
        (tmp_path / "own.toml").write_text(text)
        command = ("train", tmp_path / "own.toml", "--data", data_dir, "--out", tmp_path / "run", "--no-test", *more)
        code, out, err = s4nn(*command)
        assert (code, err) == (0, "")
        return [line for line in out.splitlines() if line.startswith("warning: ")]

    return of


STARTS = "raise network.init, or lower network.v_th"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STILL.replace(INIT, "init = [[-60, 80], [-30, 30], [0, 0.01]]"), f"no output neuron fires FOR: {STARTS}"),
        (
            STILL.replace(INIT, "init = [[200, 300], [200, 300], [200, 300]]"),
            "all output neurons fire at t = 0 FOR: lower network.init, or raise network.v_th",
        ),
        (STILL.replace(INIT, "init = [[-60, 80], [-30, -20], [-2, 2]]"), f"no neuron of layer 6C3 fires FOR: {STARTS}"),
        (online_toml("s4nn", init="[[0, 0.01], [0, 25]]"), f"no neuron of layer 20 fires FOR: {STARTS}"),
        (online_toml("bs4nn", "eta_factor = 0", init="[[0, 3], [-25, -20]]"), f"no output neuron fires FOR: {STARTS}"),
    ],
)
def test_a_network_that_cannot_learn_is_told_of_within_an_epoch(warnings, text, words):
    words = words.replace("FOR", f"for the last {260 if 's4nn' in text else 204} images")
    assert warnings(text) == [f"warning: {words}"]  # once in three epochs


def test_a_layer_that_training_killed(warnings):
    """It fired in the first batch, so the weights that it began with are not to blame."""
    text = ALIKE.replace(TARGETS, 'loss = "cross-entropy"').replace("[-2, 2]", "[-8, 12]").replace(ETA, "eta = 10")
    (warning,) = warnings(text.replace('"window"', '"window-silent"'), "--epochs", 2)
    assert "no neuron of layer 8C3 fires for the validation images after epoch 1: lower optimiser.eta" in warning


def test_a_cost_that_does_not_fall(warnings):
    (warning,) = warnings(SPIKING.replace(ETA, "eta = 0"))
    assert "the cost does not fall (it was 29.43, is 29.4), and decisions are no better than chance" in warning
    assert warning.endswith("after epoch 3: optimiser.eta is too large, or far too small")


def test_activity_that_grows_while_the_network_forgets(warnings, data_dir):
    write_idx_set(data_dir / "tiny", *make_glyphs(500, 1), *make_glyphs(10, 2))
    changes = {
        TARGETS: 'loss = "cross-entropy"', "[-2, 2]": "[-8, 12]", ETA: "eta = 0.4", '"cosine"': '"constant"',
        '"window"': '"window-silent"', "ema = 0.9": "ema = 0", "validation = 40": "validation = 150",
    }  # fmt: skip
    text = ALIKE
    for old, new in changes.items():
        text = text.replace(old, new)
    (warning,) = warnings(text, "--epochs", 5)
    assert "times as many spikes for the validation images after epoch 4 as at the least" in warning
    assert warning.endswith("lower optimiser.eta, or raise optimiser.weight_decay")


def test_black_images(warnings, data_dir):
    black, labels = np.zeros((300, 28, 28), np.uint8), np.arange(300, dtype=np.uint8) % 10
    write_idx_set(data_dir / "tiny", black, labels, black[:10], labels[:10])
    assert warnings(SPIKING) == ["warning: no pixel sends a spike for the last 204 images: are all images black?"]


def test_a_run_that_learns_is_left_alone_and_unchanged(warnings, tmp_path, monkeypatch):
    assert warnings(SPIKING) == []
    watched = (tmp_path / "run" / "weights-last.npz").read_bytes()
    monkeypatch.setattr(Watch, "after_batch", lambda *_: [])
    warnings(SPIKING, "--force")
    assert (tmp_path / "run" / "weights-last.npz").read_bytes() == watched


def looked_at(looks, config=None):
    """What a Watch of ten classes says of looks, one after the other."""
    config = config or config_of_dict({"network": {"structure": "4C3-10"}})
    watch = Watch(config, np.arange(1000) % 10, 100, config.network_of())
    return [watch._new(looks[: i + 1]) for i in range(len(looks))]


def look(accuracy, cost=1.0, activity=100.0, **more):
    return Look(
        **{"when": "now", "whole": True, "images": 1000} | more, accuracy=accuracy, cost=cost, activity=activity
    )


@pytest.mark.parametrize(
    "looks",
    [
        [look(0.1, 3), look(0.1, 2.9), look(0.1, 2.8)],  # the cost falls
        [look(0.1), look(0.1)],  # too early to say
        [look(0.1, whole=False)] * 5,  # so slowly begins Comsa's network
        [look(0.9), look(0.9), look(0.9)],  # it has nothing left to learn
        [look(0.8), look(0.9, activity=300), look(0.95, activity=500)],  # activity grows, and it learns
        [look(0.9), look(0.9), look(0.5), look(0.5)],  # it forgets, but is no more active
        [look(0.9), look(0.9), look(0.9), look(0.5, activity=300)],  # one look is not enough
        [look(0.5, silent=True, whole=False)],  # its final potentials decide better than chance
    ],
)
def test_no_rule_cries_wolf(looks):
    assert not any(looked_at(looks))


@pytest.mark.parametrize(("whole", "needed"), [(True, 3), (False, 6)])
def test_patience_with_a_cost_that_does_not_fall(whole, needed):
    told = looked_at([look(0.1, whole=whole)] * (needed + 2))
    assert [bool(lines) for lines in told] == [False] * (needed - 1) + [True] + [False] * 2


def bs4nn():
    return config_of_dict(tomllib.loads(online_toml("bs4nn")))


@pytest.mark.parametrize(
    ("config", "keys"),
    [(None, "optimiser.eta, or raise optimiser.weight_decay"), (bs4nn, "learning.eta, or raise learning.weight_decay")],
)
def test_advice_names_keys_that_there_are(config, keys):
    grown = [look(0.9), look(0.9), look(0.5, activity=300), look(0.5, activity=400)]
    assert looked_at(grown, config and config())[-1] == [
        f"activity grows: 4.0 times as many spikes now as at the least, and 50.0 % right after 90.0 %: lower {keys}"
    ]


def test_of_the_shipped_records_only_those_that_do_not_learn_are_told_of():
    from test_documents import ROOT

    told = {}
    for folder in sorted(path.parent for path in (ROOT / "results").rglob("seed0/record.json")):
        record = read_record(folder)
        config = config_of_dict(record["config"])
        history = record["history"]
        n_validation = 5000 if "validation" in history[0] else 0
        watch = Watch(config, np.arange(record["selected"]["train"]["n"]) % 10, n_validation, config.network_of())
        if lines := [line for n in range(len(history)) for line in watch.after_epoch(history[: n + 1])]:
            told[record["experiment"]] = lines
    assert list(told) == ["mnist-literal"]
    (line,) = told["mnist-literal"]
    assert line.startswith("all output neurons fire at t = 0 for the validation images after epoch 1")
