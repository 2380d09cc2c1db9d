"""The classifier for scikit-learn: sklearn's own checks, its tools, and what the scores mean."""

import doctest
import importlib.util
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("sklearn") is None:
    pytest.skip('scikit-learn is not installed: pip install "s4nn_ref[sklearn]"', allow_module_level=True)

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import s4nn_ref
import s4nn_ref.sklearn
from s4nn_ref.errors import InputError
from s4nn_ref.sklearn import S4NNClassifier, scores

ROOT = Path(__file__).resolve().parent.parent


# none of the checks is expected to fail; accuracy on two features is asked for where they come with their complement
@parametrize_with_checks(
    [
        S4NNClassifier("auto-30-auto", epochs=15, complement=True, settings={"batch": 4}, random_state=0),
        S4NNClassifier(epochs=2, random_state=0),
    ]
)
def test_sklearns_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    """8x8 digits, flat: 200 to learn from and 100 to test with."""
    X, y = load_digits(return_X_y=True)
    return X[:200], y[:200], X[200:300], y[200:300]


def tiny(**parameters):
    return S4NNClassifier(**{"structure": "auto-20-auto", "epochs": 3, "random_state": 0, **parameters})


def parameters_of(classifier):
    return classifier.model_.network.parameters


def test_a_seed_is_that_of_fit(digits):
    X, y, *_ = digits
    model = s4nn_ref.fit("64-20-10", X.reshape(-1, 8, 8) / 16, y, epochs=3, seed=5, validation=0, verbose=False)
    classifier = tiny(random_state=5).fit(X, y)
    np.testing.assert_array_equal(parameters_of(classifier), model.network.parameters)
    assert classifier.model_.config == model.config
    again = [tiny(random_state=np.random.RandomState(seed)).fit(X, y).predict(X).tolist() for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


def test_samples_are_flat_or_images(digits):
    X, y, *_ = digits
    flat = tiny().fit(X, y)
    assert (flat.image_shape_, flat.n_features_in_, flat.range_) == ((8, 8, 1), 64, (0.0, 16.0))
    for images in (X.reshape(-1, 8, 8), X.reshape(-1, 8, 8, 1), X.astype(np.int16).reshape(-1, 8, 8)):
        np.testing.assert_array_equal(parameters_of(tiny().fit(images, y)), parameters_of(flat))
    shapes = {(4, 16): (4, 16, 1), (4, 4, 4): (4, 4, 4), None: (8, 8, 1)}
    assert {given: tiny(epochs=0, image_shape=given).fit(X, y).image_shape_ for given in shapes} == shapes
    assert tiny(epochs=0).fit(X[:, :63], y).image_shape_ == (1, 63, 1)
    network = tiny(structure="4C3-P2-auto", epochs=0, complement=True).fit(X, y).model_.network
    assert (network.structure, network.input_shape) == ("4C3-P2-10", (8, 8, 2))
    for shape in ((8, 9), (64,), (1, 8, 8, 1)):
        with pytest.raises(InputError, match="does not hold samples of shape"):
            tiny(image_shape=shape).fit(X, y)
    with pytest.raises(InputError, match=re.escape("expected (n, rows, columns, channels)")):
        tiny().fit(X.reshape(-1, 2, 2, 4, 4), y)


def images_of(X_train, X, **parameters):
    """What the network sees of samples X, after it was fitted to others."""
    classifier = tiny(structure="auto-auto", epochs=0, **parameters).fit(X_train, [0, 1])
    return classifier._images(np.asarray(X)).tolist()


def test_features_by_hand():
    train = np.array([[-1.0, 0.0], [1.0, 0.5]])  # -1 .. 1 becomes 0 .. 255
    assert images_of(train, [[-1.0, 1.0], [0.0, 0.6]]) == [[[[0], [255]]], [[[128], [204]]]]
    assert images_of(train, [[-9.0, 9.0]]) == [[[[0], [255]]]]  # what is beyond is cut
    assert images_of(train, [[-1.0, 0.6]], complement=True) == [[[[0, 255], [204, 51]]]]
    # bytes and booleans have their range by themselves
    assert images_of(np.array([[10, 20], [30, 40]], np.uint8), np.array([[0, 40]], np.uint8)) == [[[[0], [40]]]]
    assert images_of(np.array([[10, 20], [30, 40]], np.uint8), [[0.0, 40.0]]) == [[[[0], [40]]]]
    assert images_of(np.array([[True, True], [True, True]]), [[False, True]]) == [[[[0], [255]]]]
    assert images_of(np.full((2, 2), 7.0), [[7.0, 8.0]]) == [[[[0], [255]]]]  # a range of nothing


def test_labels_of_any_kind(digits):
    X, y, X_test, _ = digits
    plain = tiny().fit(X, y).predict(X_test)
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    named = tiny().fit(X, names[y])
    assert named.classes_.tolist() == sorted(names)
    assert set(named.predict(X_test)) <= set(names)
    np.testing.assert_array_equal(tiny().fit(X, 10 * y - 30).predict(X_test), 10 * plain - 30)
    booleans = tiny().fit(X, y > 4)
    assert booleans.predict(X_test).dtype == bool
    assert booleans.decision_function(X_test).shape == (100,)
    np.testing.assert_array_equal(booleans.decision_function(X_test) > 0, booleans.predict(X_test))


CONTINUOUS = {
    "network": {"structure": "64-10", "init": [[0, 1]]},
    "learning": {"algorithm": "relpsp"},
    "optimiser": {"eta": 0.1},
}


def test_structure_experiment_and_settings(digits):
    X, y, *_ = digits

    def config(**parameters):
        return S4NNClassifier(**{"epochs": 0, **parameters}).fit(X, y).model_.config

    assert config().network.structure == "64-100-10"
    assert config(structure="64-30-auto").network.structure == "64-30-10"
    tables = {"network": {"structure": "64-7-10"}, "training": {"epochs": 0, "batch": 2}, "data": {"validation": 50}}
    found = config(experiment=tables, epochs=None)
    assert (found.network.structure, found.training.batch, found.data.validation) == ("64-7-10", 2, 0)
    found = config(settings={"t_max": 30, "loss": "cross-entropy", "validation": 20, "augment": {"epochs": 1}})
    assert (found.network.t_max, found.data.validation, found.augment.epochs) == (30, 20, 1)
    assert config(settings={"data": {"validation": 20}}).data.validation == 20
    for words, parameters in {
        "unknown key learning_rate": {"settings": {"learning_rate": 1}},
        "has 12 output neurons, and there are 10 classes": {"structure": "auto-12"},
        "is in continuous time": {"experiment": CONTINUOUS},
    }.items():
        with pytest.raises(InputError, match=re.escape(words)):
            S4NNClassifier(**{"epochs": 0, **parameters}).fit(X, y)


def test_scores_are_the_decision(digits):
    X, y, X_test, _ = digits
    for settings in ({}, {"t_max": 3}, {"v_th": 1e4, "init": [[-1, 1]] * 2, "eta": 1}):  # with ties; silent
        classifier = tiny(settings=settings).fit(X, y)
        r, score = classifier.model_.responses(classifier._images(X_test)), classifier.decision_function(X_test)
        np.testing.assert_array_equal(classifier.classes_[score.argmax(axis=1)], classifier.predict(X_test))
        np.testing.assert_array_equal(score > 0, r.t_out < r.t_max)
        np.testing.assert_array_equal(np.floor(score)[score > 0], (r.t_max - r.t_out)[score > 0])
        proba = classifier.predict_proba(X_test)
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
        np.testing.assert_allclose(classifier.predict_log_proba(X_test), np.log(proba))
        expected = np.exp(score / classifier.temperature_)
        np.testing.assert_allclose(proba, expected / expected.sum(axis=1, keepdims=True))
    assert (r.t_out == r.t_max).all()  # the last one is silent
    assert scores(r, 1e4).max() < 0


def test_the_temperature_makes_the_labels_likely(digits):
    X, y, *_ = digits
    classifier = tiny(epochs=1).fit(X, y)
    score, best = classifier.decision_function(X), classifier.temperature_
    assert 5 < best < 10_000

    def loss(temperature):
        p = np.exp(score / temperature)
        return -np.log(p[np.arange(200), y] / p.sum(axis=1)).mean()

    assert loss(best) < min(loss(0.9 * best), loss(1.1 * best))


def test_warm_start(digits):
    X, y, *_ = digits
    classifier = tiny(warm_start=True).fit(X, y)
    first = parameters_of(classifier).copy()
    model = s4nn_ref.fit("64-20-10", X.reshape(-1, 8, 8) / 16, y, epochs=3, seed=0, validation=0, verbose=False,
                         start=classifier.model_)  # fmt: skip
    np.testing.assert_array_equal(parameters_of(classifier.fit(X, y)), model.network.parameters)
    assert (parameters_of(classifier) != first).any()
    assert classifier.fit(X[y < 5] / 2, y[y < 5]).classes_.tolist() == list(range(10))
    assert classifier.range_ == (0.0, 16.0)
    with pytest.raises(InputError, match="label 10 is not among the classes of the first call"):
        classifier.fit(X, y + 1)
    np.testing.assert_array_equal(parameters_of(tiny().fit(X, y).fit(X, y)), first)


def test_partial_fit(digits):
    X, y, X_test, y_test = digits
    with pytest.raises(InputError, match="the first call of partial_fit needs all labels"):
        tiny().partial_fit(X, y)
    parts, stopped = tiny(settings={"batch": 4}), None
    for number in range(24):
        rows = slice(50 * (number % 4), 50 * (number % 4) + 50)
        parts.partial_fit(X[rows], y[rows], classes=range(10) if number == 0 else None)
        if number == 10:
            stopped = pickle.loads(pickle.dumps(parts))  # with the optimiser's moments
        elif number > 10:
            stopped.partial_fit(X[rows], y[rows])
    assert parts.score(X_test, y_test) > 0.6
    np.testing.assert_array_equal(parameters_of(stopped), parameters_of(parts))
    assert parts._state["step"] == 24 * 13
    with pytest.raises(InputError, match="label 10 is not among"):
        parts.partial_fit(X, y + 2)
    np.testing.assert_array_equal(parameters_of(parts.fit(X, y)), parameters_of(tiny(settings={"batch": 4}).fit(X, y)))


def test_partial_fit_of_all_samples_is_an_epoch_of_fit(digits):
    """At a constant rate; the second call draws another order."""
    X, y, *_ = digits
    whole = tiny(epochs=2, settings={"schedule": "constant", "shift": 1}).fit(X, y)
    parts = tiny(settings={"schedule": "step", "decay": 0.5, "shift": 1})
    parts.partial_fit(X, y, classes=range(10)).partial_fit(X, y)
    np.testing.assert_array_equal(parameters_of(parts), parameters_of(whole))


def test_sklearns_tools(digits):
    X, y, *_ = digits
    pipeline = make_pipeline(MinMaxScaler(), tiny())
    assert cross_val_score(pipeline, X, y, cv=2).shape == (2,)
    grid = {"epochs": [0, 20], "settings": [{"batch": 4}, {"batch": 8, "t_max": np.int64(50)}]}
    search = GridSearchCV(tiny(), grid, cv=2, n_jobs=2).fit(X, y)
    assert search.best_params_["epochs"] == 20
    assert search.best_score_ > 0.6
    copy = clone(search.best_estimator_)
    np.testing.assert_array_equal(parameters_of(copy.fit(X, y)), parameters_of(search.best_estimator_))


def test_examples_of_the_docstring():
    found = doctest.testmod(s4nn_ref.sklearn)
    assert (found.attempted, found.failed) == (3, 0)


def blocks():
    page = (ROOT / "docs" / "python.md").read_text()
    return [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "sklearn" in block]


def test_the_table_of_the_page_is_learned():
    (block,) = (block for block in blocks() if "iris" in block)
    names = {}
    exec(block, names)
    assert names["scores"].mean() > 0.8  # measured: 0.85


def test_the_digits_of_the_page_are_learned():
    """At least 98 % of a test set of 450; docs/python.md says what three seeds reach."""
    (block,) = (block for block in blocks() if "digits" in block)
    assert len(block.strip().splitlines()) <= 10
    names = {}
    exec(block, names)
    assert names["accuracy"] >= 0.98


def test_without_sklearn_one_line_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None\nimport s4nn_ref.sklearn"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert 'pip install "s4nn_ref[sklearn]"' in result.stderr.splitlines()[-1]
