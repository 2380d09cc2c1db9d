"""Teachers (D48): their opinion, the error of a distribution in place of a label, and runs that learn from them."""

from dataclasses import replace

import numpy as np
import pytest
import twins
from conftest import TINY, StopAfter, online_toml
from test_losses import outputs_of, random_outputs
from test_train import with_loss

import s4nn_ref as s4nn
from s4nn_ref.app.record import read_record
from s4nn_ref.app.run import teacher_of
from s4nn_ref.app.storage import write_weights
from s4nn_ref.config import read_config
from s4nn_ref.data.dataset import load
from s4nn_ref.errors import InputError
from s4nn_ref.files import load_npz, write_npz
from s4nn_ref.losses import cross_entropy, first_spike, relative_targets
from s4nn_ref.metrics import metrics_of, respond
from s4nn_ref.network import Network, Settings
from s4nn_ref.teachers import NEGLIGIBLE, Teacher, Teachers, expected_error, targets
from s4nn_ref.training.loop import Progress, Training, split_validation

TAUGHT = TINY.replace("hinge = true", "hinge = true\ndistillation = 0.7\ntemperature = 9")


def teacher(seed, structure="12-6-4", input_shape=(3, 4, 1), init=((-20, 40), (-30, 60)), file="w.npz"):
    network = Network(Settings(structure, input_shape=input_shape, t_max=30))
    network.initialise(init, np.random.default_rng(seed))
    return Teacher(network, "eq1", file)


def training(tiny_toml, data_dir, text=TAUGHT, teachers=()):
    tiny_toml.write_text(text)
    dataset = load("tiny", "train", data_dir)
    config = read_config(tiny_toml).on(dataset)
    return Training(config, *split_validation(dataset, config), teachers=teachers)


def tiny_teacher(seed, file="w.npz"):
    ranges = ((-60, 80), (-30, 30), (-2, 2))
    return teacher(seed, "8C3-P2-8C3-P2-10", (28, 28, 1), ranges, file)


# ------------------------------------------------------------------------------------------------------- opinions


def test_an_opinion_is_the_mean_softmax_of_final_potentials():
    images = np.random.default_rng(3).integers(0, 256, (5, 3, 4, 1), np.uint8)
    pair = (teacher(0), teacher(1))
    q = Teachers(pair, 5).opinions(images, 40.0)
    for b, image in enumerate(images):
        each = []
        for one in pair:
            net = one.network
            t_in = net.encode(image[None])
            t_hidden = net.forward(t_in)[1].t_post.reshape(-1)
            v = twins.potentials(t_hidden, net.w[-1].reshape(4, -1), 30)[-1]
            each.append(np.exp(v / 40) / np.exp(v / 40).sum())
        expected = np.mean(each, axis=0)
        assert expected.min() > NEGLIGIBLE
        np.testing.assert_allclose(q[b], expected, rtol=1e-5)
    # other images give other opinions, and a low temperature leaves one class
    assert np.ptp(q, axis=0).max() > 0.01
    assert (np.sort(Teachers(pair[:1], 5).opinions(images, 1e-3), axis=1)[:, -2:] == [0, 1]).all()


def test_small_opinions_are_none():
    images = np.random.default_rng(4).integers(0, 256, (40, 3, 4, 1), np.uint8)
    q = Teachers((teacher(0),), 40).opinions(images, 10.0)
    assert ((q == 0) | (q >= NEGLIGIBLE * q.max(axis=1, keepdims=True))).all()
    assert (q == 0).any()
    np.testing.assert_allclose(q.sum(axis=1), 1)


def test_a_teacher_sees_images_as_it_learned_to():
    images = np.random.default_rng(3).integers(0, 256, (5, 3, 4, 1), np.uint8)
    net = Network(Settings("12-4", input_shape=(3, 4, 1), t_max=100))
    net.initialise([(-20, 40)], np.random.default_rng(1))
    first, second = (Teachers((Teacher(net, encoding, "w.npz"),), 5) for encoding in ("eq1", "intensity"))
    v = net.outputs(net.forward(net.encode(images, "intensity"))).v_end.astype(float)
    expected = np.exp((v - v.max(axis=1, keepdims=True)) / 60)
    np.testing.assert_allclose(second.opinions(images, 60.0), expected / expected.sum(axis=1, keepdims=True), rtol=1e-6)
    assert np.abs(first.opinions(images, 60.0) - expected / expected.sum(axis=1, keepdims=True)).max() > 0.01


def test_targets_by_hand():
    y = targets(np.array([0, 2]), np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]]), 0.4)
    np.testing.assert_allclose(y, [[0.8, 0.2, 0.0], [0.0, 0.1, 0.9]])


# ---------------------------------------------------------------------------------------------- expected cost, error


def random_targets(rng, n, classes):
    y = rng.dirichlet(np.full(classes, 0.5), n)
    y[y < 0.05] = 0.0
    return y / y.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("loss", [relative_targets.Loss(lam=7), relative_targets.Loss(lam=7, hinge=True)])
def test_the_expected_error_is_the_mean_over_classes(loss):
    rng = np.random.default_rng(5)
    t_out, labels = random_outputs(rng)
    outputs, y = outputs_of(t_out), random_targets(rng, *t_out.shape)
    cost, error = expected_error(loss, outputs, y)
    each = [loss.error(outputs, np.full(len(y), c)) for c in range(y.shape[1])]
    np.testing.assert_allclose(cost, sum(y[:, c] * each[c][0] for c in range(y.shape[1])), rtol=1e-12)
    np.testing.assert_allclose(error, sum(y[:, c, None] * each[c][1] for c in range(y.shape[1])), atol=1e-15)
    # a certain label: what the loss says of it
    cost, error = expected_error(loss, outputs, np.eye(y.shape[1])[labels])
    for found, alone in zip((cost, error), loss.error(outputs, labels), strict=True):
        np.testing.assert_array_equal(found, alone)


def test_cross_entropy_of_a_distribution():
    """Known in closed form: with times in units of t_max the error is y - softmax(-t)."""
    rng = np.random.default_rng(6)
    t_out = rng.integers(0, 100, (20, 5))
    y = random_targets(rng, 20, 5)
    _, error = expected_error(cross_entropy.Loss(variable="t"), outputs_of(t_out), y)
    scores = np.exp(-t_out / 100)
    np.testing.assert_allclose(100 * error, y - scores / scores.sum(axis=1, keepdims=True), atol=1e-12)


def test_the_first_spike_likelihood_of_a_distribution():
    """dE/dV in every step is the slope of sum_c y_c E(c)."""
    rng = np.random.default_rng(7)
    net = teacher(2).network
    images = rng.integers(0, 256, (3, 3, 4, 1), np.uint8)
    outputs, y = net.outputs(net.forward(net.encode(images))), random_targets(rng, 3, 4)
    loss = first_spike.Loss(noise=20.0, final_potentials=0.5, latency_penalty=0.01)
    cost, error = expected_error(loss, outputs, y)
    keys = loss.noise, loss.final_potentials, loss.latency_penalty

    def expected(b, v):
        return sum(y[b, c] * twins.first_spike_cost(v, c, outputs.threshold, *keys) for c in range(4))

    for b in range(3):
        v = outputs.potentials(b)
        assert cost[b] == pytest.approx(expected(b, v), rel=1e-9)
        for s, c in [(0, 0), (7, 1), (15, 2), (29, 3)]:
            step = np.zeros_like(v)
            step[s, c] = 1e-3
            slope = (expected(b, v + step) - expected(b, v - step)) / 2e-3
            assert error[b, s, c] == pytest.approx(slope, abs=1e-7 + 1e-4 * np.abs(error[b]).max())


# ---------------------------------------------------------------------------------------------------------- training


def test_the_keys_weigh_the_opinion(tiny_toml, data_dir):
    """The algorithm's error is that of y = (1 - alpha) label + alpha q, q at the temperature of the experiment."""
    text = TAUGHT.replace("distillation = 0.7", "distillation = 0.3")
    run = training(tiny_toml, data_dir, text, (tiny_teacher(0),))
    images, labels = run.data.images[:6], run.data.labels[:6]
    algorithm = run.algorithm
    _, outputs = algorithm.forward(images)
    q = Teachers((tiny_teacher(0),), 6).opinions(images, 9.0)
    y = 0.3 * q + 0.7 * np.eye(10)[labels]
    expected = expected_error(run.config.learning.loss, outputs, y)
    for found, right in zip(algorithm.error(outputs, images, labels), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-15)
    assert np.abs(q - np.eye(10)[labels]).max() > 0.1


def test_a_run_with_teachers_resumes_to_the_bit(tiny_toml, data_dir, tmp_path):
    teachers = (tiny_teacher(0), tiny_teacher(1))
    runs = [training(tiny_toml, data_dir, teachers=teachers) for _ in range(3)]
    alone = training(tiny_toml, data_dir, TINY)
    for run in (runs[0], alone):
        assert run.run(None, Progress())
    assert not runs[1].run(tmp_path / "part.npz", StopAfter(1))
    runs[2].restore(tmp_path / "part.npz")
    assert runs[2].run(tmp_path / "part.npz", Progress())
    found = [run.algorithm.parameters() for run in (runs[0], runs[2], alone)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).mean() > 0.3
    # other teachers, none, or their order: another run
    first, second = (rf"w\.npz \({one.as_dict()['sha256'][:8]}\)" for one in teachers)
    for other, said in ((teachers[:1], first), (teachers[::-1], f"{second}, {first}")):
        with pytest.raises(InputError, match=rf"learned from {first}, {second}, not from {said}; give the same"):
            training(tiny_toml, data_dir, teachers=other).restore(tmp_path / "part.npz")
    other = replace(teachers[0], encoding="intensity")
    assert other.as_dict()["sha256"] != teachers[0].as_dict()["sha256"]


def test_a_student_learns_what_its_teacher_says(tiny_toml, data_dir):
    """With distillation 1 labels do not count: taught by a network that learned other names of the classes, it takes
    over those."""
    longer = with_loss(TINY, "first-spike").replace("epochs = 3", 'epochs = 25\nselect = "last"')
    other = training(tiny_toml, data_dir, longer)
    renamed = replace(other.data, labels=(other.data.labels + 1) % 10)
    master = Training(other.config, renamed, other.validate)
    assert master.run(None, Progress())
    master.evaluated.parameters[:] = master.best
    assert metrics_of(respond(master.evaluated, renamed.images), renamed.labels)["accuracy_strict"] > 0.6
    student = training(
        tiny_toml,
        data_dir,
        longer.replace("[optimiser]", "distillation = 1\ntemperature = 5\n\n[optimiser]"),
        (Teacher(master.evaluated, "eq1", "w.npz"),),
    )
    assert student.run(None, Progress())
    student.evaluated.parameters[:] = student.best
    said = respond(student.evaluated, student.data.images)
    assert metrics_of(said, renamed.labels)["accuracy_strict"] > 0.5
    assert metrics_of(said, student.data.labels)["accuracy_strict"] < 0.1


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        (TAUGHT, (), r"distillation > 0 needs trained networks as teachers: s4nn train CONFIG --teacher WEIGHTS"),
        (TINY, (tiny_teacher(0),), r"teachers are given, and learning\.distillation is 0"),
        (TAUGHT, (teacher(0),), r"the teacher w\.npz has 3x4x1 images and 4 classes, the experiment 28x28x1 .* 10 "),
        (online_toml("s4nn"), (tiny_teacher(0),), r'algorithm "s4nn" has no teachers; leave them out'),
        (TAUGHT, (replace(tiny_teacher(0), classes=tuple("abcdefghij")),), r"knows classes a, b, c, \.\., the exp"),
    ],
)
def test_teachers_that_do_not_fit(tiny_toml, data_dir, text, given, said):
    with pytest.raises(InputError, match=said):
        training(tiny_toml, data_dir, text, given)


def test_a_network_in_continuous_time_is_no_teacher(tiny_toml, data_dir):
    from s4nn_ref.neurons import linear

    one = Teacher(Network(Settings("784-10", input_shape=(28, 28, 1)), linear), "eq1", "w.npz")
    with pytest.raises(InputError, match="continuous time"):
        training(tiny_toml, data_dir, teachers=(one,))


def test_the_record_names_the_teachers(tiny_toml, data_dir, tmp_path, s4nn):
    before = training(tiny_toml, data_dir, TINY)
    for name in ("a.npz", "b.npz"):
        write_weights(tmp_path / name, before.config, before.best)
        before.best[:] = before.best + 1
    tiny_toml.write_text(TAUGHT.replace("epochs = 3", "epochs = 1"))
    command = ("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run")
    code, out, err = s4nn(*command, "--teacher", tmp_path / "a.npz", "--teacher", tmp_path / "b.npz")
    assert code == 0, err
    assert ", with 2 teachers, into" in out
    expected = [teacher_of(tmp_path / name).as_dict() for name in ("a.npz", "b.npz")]
    assert [one["file"] for one in expected] == ["a.npz", "b.npz"]
    assert expected[0]["sha256"] != expected[1]["sha256"]
    assert read_record(tmp_path / "run")["teachers"] == expected
    both = ("--teacher", tmp_path / "a.npz", "--teacher", tmp_path / "b.npz")
    assert "is finished" in s4nn(*command, "--resume", *both)[1]
    code, _, err = s4nn(*command, "--resume", *both[:2])
    assert (code, err.count("\n")) == (2, 1)
    assert f"b.npz ({expected[1]['sha256'][:8]}), not from a.npz ({expected[0]['sha256'][:8]}) (--teacher)" in err


def test_teachers_of_fit(data_dir, tmp_path):
    images, labels = (getattr(load("tiny", "train", data_dir), name) for name in ("images", "labels"))
    keys = {"structure": "4C5S3-10", "epochs": 1, "validation": 0, "verbose": False}
    first = s4nn.fit(images=images, labels=labels, **keys)
    taught = s4nn.fit(images=images, labels=labels, teachers=[first], distillation=0.5, **keys)
    assert (taught.network.parameters != first.network.parameters).any()
    first.save(tmp_path / "w.npz")
    again = s4nn.fit(images=images, labels=labels, teachers=[str(tmp_path / "w.npz")], distillation=0.5, **keys)
    np.testing.assert_array_equal(again.network.parameters, taught.network.parameters)
    for wrong in (first, 5, [1], {first}):
        with pytest.raises(InputError, match=r"teachers = .*: expected a list of models or weights files"):
            s4nn.fit(images=images, labels=labels, teachers=wrong, distillation=0.5, **keys)


def test_a_checkpoint_from_before_there_were_teachers(tiny_toml, data_dir, tmp_path):
    """Keys that came later stand at what was done before; a run that asks for more is another one."""
    run = training(tiny_toml, data_dir, TINY.replace("epochs = 3", "epochs = 1"))
    run.save(tmp_path / "new.npz")
    arrays, meta = load_npz(tmp_path / "new.npz")
    for key in ("spike_penalty", "distillation", "temperature"):
        del meta["config"]["learning"][key]
    del meta["teachers"]
    write_npz(tmp_path / "old.npz", arrays, meta)
    run.restore(tmp_path / "old.npz")
    once = TINY.replace("epochs = 3", "epochs = 1")
    dear = training(tiny_toml, data_dir, once.replace("lam", "spike_penalty = 1\nlam"))
    with pytest.raises(InputError, match=r"learning\.spike_penalty was 0\.0, now 1"):
        dear.restore(tmp_path / "old.npz")
