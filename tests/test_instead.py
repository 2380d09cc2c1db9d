"""What one would use instead: the peers have our structure and learn; the benchmark survives those that end."""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from s4nn_ref.config import config_of_dict
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network, Settings

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
sys.path += [str(EXPERIMENTS), str(EXPERIMENTS / "bench")]  # last: figures/ has files of the same names

import instead  # noqa: E402
import report  # noqa: E402
from contenders import CONTENDERS, measurement  # noqa: E402
from work import Case  # noqa: E402
from workers import worker  # noqa: E402

ECHO = "from workers import answer; answer(lambda question: print('said by a library') or 2 * question)"
ENDS = "import sys; sys.stdin.readline(); sys.exit(3)"
PLAN = instead.Plan(rounds=2, fast=(2, 4, 8), slow=(1,), least=0.0, longest=5.0)


def process(code, what="something"):
    folders = map(str, (EXPERIMENTS / "bench", EXPERIMENTS.parent))
    return worker(["-c", code], what, {**os.environ, "PYTHONPATH": os.pathsep.join(folders)})


def network(t_max=10, structure="4C3-P2-6C3-P2-10"):
    return Network(Settings(structure, input_shape=(28, 28, 1), padding="same", t_max=t_max))


def small_case():
    """A small network of sums that are exact, and 32 digits."""
    structure, init = "4C3-P2-6C3-P2-10", [[-60, 80], [-30, 30], [-2, 2]]
    config = config_of_dict(
        {
            "network": {"structure": structure, "init": init, "t_max": 10, "pool_ties": "potential"},
            "data": {"dataset": "glyphs"},
            "optimiser": {"eta": [0.4, 0.2, 0.02]},
            "training": {"batch": 32},
        }
    )
    ours = config.network_of()
    ours.initialise(init, np.random.default_rng(3))
    ours.parameters[:] = np.round(ours.parameters * 64) / 64
    images, labels = make_glyphs(32, seed=0)
    return Case(ours, config, images.reshape(32, 28, 28, 1), labels)


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: what is built on it is skipped")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield torch
    torch.set_num_threads(before)


def costs(peer, updates, n=32):
    """Mean cost of the first and the last quarter of the updates on the same digits, and the accuracy after them."""
    images, labels = make_glyphs(n, seed=0)
    images = images.reshape(n, 28, 28, 1)
    found = [peer.learn(images, labels) for _ in range(updates)]
    quarter = updates // 4
    right = (peer.decide(images) == labels).mean()
    return np.mean(found[:quarter]), np.mean(found[-quarter:]), right


# ------------------------------------------------------------------------------------------------ the peers


@pytest.mark.parametrize("channels_last", [False, True])
def test_relu_network_has_our_structure_and_learns(torch, channels_last):
    from peers.relu import Relu

    peer = Relu(network(), channels_last, 1e-2)
    weights = [tuple(p.shape) for p in peer.model.parameters()]
    assert weights == [(4, 1, 3, 3), (6, 4, 3, 3), (10, 6 * 7 * 7)]
    first, last, right = costs(peer, 40)
    assert last < 0.2 * first and right > 0.9


def test_memory_formats_give_the_same_outputs(torch):
    from peers.modules import pixels
    from peers.relu import Relu

    peers = [Relu(network(), channels_last, 0.0) for channels_last in (False, True)]
    peers[1].model.load_state_dict(peers[0].model.state_dict())
    images = make_glyphs(4, seed=1)[0].reshape(4, 28, 28, 1)
    a, b = (peer.model(pixels(images, peer.memory_format)).detach().numpy() for peer in peers)
    assert np.abs(a).max() > 0
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_another_structure_is_noticed(torch):
    from peers.modules import modules

    ours = network()
    ours.parameters = ours.parameters[1:]
    with pytest.raises(AssertionError, match="weights, not"):
        modules(ours, torch.nn.ReLU)
    uneven = Network(Settings("4C4-10", input_shape=(28, 28, 1), padding="same"))  # padded on one side more
    with pytest.raises(AssertionError, match="4C4"):
        modules(uneven, torch.nn.ReLU)


def test_snntorch_network_has_our_structure_and_learns(torch):
    pytest.importorskip("snntorch", reason="snnTorch is not installed: its network is skipped")
    from peers.first_spike_snntorch import FirstSpike

    ours = network()
    peer = FirstSpike(ours, 5e-3)
    assert [tuple(p.shape) for p in peer.model.parameters()] == [(4, 1, 3, 3), (6, 4, 3, 3), (10, 6 * 7 * 7)]
    images = make_glyphs(3, seed=0)[0].reshape(3, 28, 28, 1)
    spikes = peer.spikes(images)
    assert spikes.shape == (ours.t_max, 3, 10) and set(np.unique(spikes.detach().numpy())) <= {0.0, 1.0}
    first, last, _ = costs(peer, 40)
    assert last < 0.8 * first


def test_snntorch_decides_for_the_first_spike(torch, monkeypatch):
    pytest.importorskip("snntorch", reason="snnTorch is not installed: its network is skipped")
    from peers.first_spike_snntorch import FirstSpike

    peer, spikes = FirstSpike(network(), 0.0), np.zeros((10, 3, 10), np.float32)
    spikes[4:, 0, 7] = spikes[5:, 0, 2] = 1  # the first spike, not the most spikes or the last
    spikes[3, 1, 5] = spikes[6:, 1, 1] = 1
    monkeypatch.setattr(peer, "spikes", lambda images: torch.from_numpy(spikes))
    assert peer.decide(None).tolist() == [7, 5, 0]


def test_clock_driven_learner_decides_and_learns_as_ours(torch):
    from peers.clock_driven import Learner

    case = small_case()
    ours, config, images, labels = case
    peer, learner = Learner(ours, config, config.optimiser.eta), case.learner()
    _, outputs = learner.forward(images)
    assert len(set(outputs.decisions())) > 1
    np.testing.assert_array_equal(peer.decide(images), outputs.decisions())
    cost, _ = learner.backward(images, labels)
    before = [w.clone() for w in peer.peer.w]
    assert peer.learn(images, labels) == pytest.approx(cost.mean(), rel=1e-5)
    for theirs, old, eta, of_shards in zip(peer.peer.w, before, config.optimiser.eta, learner.grad, strict=True):
        mean = of_shards.sum(axis=0) / 32
        gradient = theirs.grad.permute(2, 3, 1, 0).reshape(mean.shape).numpy()
        np.testing.assert_allclose(gradient, mean, rtol=1e-3, atol=1e-4 * np.abs(mean).max())
        moved = theirs.grad.abs() > 1e-3 * theirs.grad.abs().max()  # Adam's first step: eta each
        change = (theirs - old)[moved]
        np.testing.assert_allclose(change, -eta * theirs.grad[moved].sign(), rtol=1e-2, atol=1e-4 * eta)
    first, last, _ = costs(peer, 40)
    assert last < 0.9 * first


# ----------------------------------------------------------------------------------------------- the workers


def test_a_worker_answers_and_what_a_library_prints_is_no_answer():
    with process(ECHO) as ask:
        assert [ask(3), ask([1])] == [6, [1, 1]]


@pytest.mark.parametrize("code", [ENDS, "raise SystemExit(3)"], ids=["at the question", "before it"])
def test_a_worker_that_ends_is_one_clear_line(code):
    with process(code, "a contender") as ask, pytest.raises(InputError) as error:
        ask({"task": "training"})
    assert str(error.value) == "the process that measures a contender has ended (3); above it says why"


def test_rounds_go_on_without_a_contender_that_ends():
    order, left = [], [3]

    def asker(name, seconds):
        def ask(question):
            order.append((name, question["task"]))
            if name == "mortal":
                left[0] -= 1
                if not left[0]:
                    raise InputError("it has ended")
            return {"seconds": seconds}

        return ask

    asks = {"ours": asker("ours", 0.5), "mortal": asker("mortal", 1.0), "other": asker("other", 2.0)}
    questions = {name: {task: {"task": task, "batch": 4} for task in instead.TASKS} for name in asks}
    speeds, ended = instead.in_turn(asks, questions, 3)
    assert ended == {"mortal": "it has ended"}
    assert speeds == {"ours": dict.fromkeys(instead.TASKS, [8.0] * 3), "other": dict.fromkeys(instead.TASKS, [2.0] * 3)}
    assert order[:6] == [(name, task) for task in instead.TASKS for name in asks]
    assert order.count(("mortal", "training")) == 2


# ------------------------------------------------------------------------------------------------ the search


def searched(seconds_of, peak_of=lambda batch: 100, batches=(1, 2, 4, 8)):
    asked = []

    def ask(question):
        asked.append((question["variant"], question["batch"]))
        batch = question["batch"]
        return {"seconds": seconds_of(batch), "ready_mb": 50, "peak_mb": peak_of(batch)}

    return instead.search(ask, "training", ("a", "b"), batches, PLAN), asked


def test_the_search_tries_every_batch_of_every_variant_that_is_quick():
    found, asked = searched(lambda batch: 0.1)
    assert asked == [(variant, batch) for variant in "ab" for batch in (1, 2, 4, 8)]
    assert found[3]["images_per_second"] == pytest.approx(80)


def test_the_search_stops_before_what_would_take_too_long():
    assert searched(lambda batch: 1.5 * batch)[1] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert searched(lambda batch: 100.0)[1] == [("a", 1), ("b", 1)]  # the smallest is always tried


def test_the_search_stops_before_what_would_take_too_much_memory():
    assert searched(lambda batch: 0.1, lambda batch: 50 + 1e9 * batch)[1] == [("a", 1), ("b", 1)]


def test_a_missing_package_is_one_line():
    assert instead.missing(("numpy",)) is None
    assert instead.missing(("numpy", "no-such-package-of-ours")).startswith("no-such-package-of-ours is not installed")


# ------------------------------------------------------------------------------------------------ all of it


def test_ours_is_measured_at_both_ways_of_inference_which_agree():
    case, before = small_case(), small_case().network.parameters
    ours = CONTENDERS["ours"]
    whole, anytime = (ours.make(case, "inference", variant)() for variant in ours.variants["inference"])
    np.testing.assert_array_equal(whole, anytime)
    assert len(set(whole)) > 1
    measure = measurement(ours, case)
    for task, variants in ours.variants.items():
        for variant in variants:
            answer = measure({"task": task, "variant": variant, "batch": 8, "least": 0.0})
            assert answer["seconds"] > 0 and 0 < answer["ready_mb"] <= answer["peak_mb"]
    np.testing.assert_array_equal(case.network.parameters, before)  # a learning rate of 0


SPEEDS = {"ours": 1000, "clock-driven PyTorch": 10, "ReLU in PyTorch": 2000}  # images per second


@pytest.fixture
def imagined(monkeypatch):
    """Contenders of known speeds in place of processes; snnTorch's ends at its first question."""

    @contextmanager
    def process_of(name, network, weights, data_dir, t_max=0):
        def ask(question):
            if name not in SPEEDS:
                raise InputError("it has ended")
            faster = 2 if question["variant"] in ("anytime", "channels_last") else 1
            peak = 100 + question["batch"] * (t_max or 100)
            return {"seconds": question["batch"] / SPEEDS[name] / faster, "ready_mb": 100, "peak_mb": peak}

        yield ask

    monkeypatch.setattr(instead, "process_of", process_of)
    monkeypatch.setattr(instead, "missing", lambda packages: None)
    monkeypatch.setattr(instead, "check", lambda *arguments: None)
    monkeypatch.setattr(instead.metadata, "version", lambda name: "1.0")


def test_the_result_holds_ratios_at_the_best_variants(imagined, capsys):
    row = json.loads(json.dumps(instead.instead("mnist-plus", "trained", PLAN, None)))
    assert row["left_out"] == {"snnTorch": "it has ended"}
    assert "left out: snnTorch, it has ended" in capsys.readouterr().err
    assert list(row["contenders"]) == list(SPEEDS)
    relu = row["contenders"]["ReLU in PyTorch"]
    assert {task: (relu[task]["variant"], relu[task]["ratio"]) for task in relu} == {
        "training": ("channels_last", pytest.approx(0.25)),
        "inference": ("channels_last", pytest.approx(0.5)),
    }
    assert row["contenders"]["ours"]["inference"]["variant"] == "anytime"
    assert row["contenders"]["clock-driven PyTorch"]["training"]["ratio"] == pytest.approx(100)
    assert len(relu["training"]["rounds"]) == PLAN.rounds and len(relu["training"]["searched"]) == 6
    assert any("0.25 | ours is slower; target 3: missed" in line for line in report.instead([row]))


def test_the_table_of_memory_varies_one_thing_at_a_time(imagined):
    rows = instead.memory("mnist-plus", instead.QUICK, None)
    assert [(row["varied"], row["value"], row["batch"]) for row in rows] == [
        ("T_max", 50, 2), ("T_max", 100, 2), ("batch", 1, 1), ("batch", 2, 2)
    ]  # fmt: skip
    lines = report.memory(json.loads(json.dumps(rows)))
    assert "| T_max | 50 | 2 | 100 | 100 |" in lines and "| batch | 1 | 1 | 100 | 100 |" in lines


# ------------------------------------------------------------------------------------------------ the report


def found(speed, ratio):
    row = {"variant": "", "batch": 4, "images_per_second": speed, "peak_mb": 300.0, "ready_mb": 200.0, "ratio": ratio}
    return dict.fromkeys(instead.TASKS, row)


def test_the_report_says_wins_losses_and_what_was_left_out():
    row = {"network": "mnist-plus", "weights": "trained", "rounds": 7, "versions": {"torch": "2.0"}}
    contenders = {"ours": found(100.0, 1.0), "clock-driven PyTorch": found(200.0, 0.5), "ReLU in PyTorch": found(25, 4)}
    row |= {"contenders": contenders, "left_out": {"snnTorch": "snntorch is not installed"}}
    lines = report.instead([row])
    (slower,) = (line for line in lines if "training | clock-driven" in line)
    assert slower.endswith("| 0.5 | ours is slower |")
    (reached,) = (line for line in lines if "training | ReLU" in line)
    assert reached.endswith("| 4 | ours is faster; target 3: reached |")
    (missed,) = (line for line in lines if "inference | ReLU" in line)
    assert missed.endswith("| 4 | ours is faster; target 5: missed |")
    assert "Left out of mnist-plus, trained: snnTorch, snntorch is not installed" in lines
