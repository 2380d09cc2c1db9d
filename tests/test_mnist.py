"""Regression on real MNIST, where S4NN_DATA names it: shipped weights, shipped records, and learning from scratch."""

import json
from pathlib import Path

import numpy as np
import pytest

from s4nn_ref.config import read_config
from s4nn_ref.data import load
from s4nn_ref.metrics import figures_of_merit, respond
from s4nn_ref.record import read_record, read_responses
from s4nn_ref.storage import read_weights
from s4nn_ref.train import Progress, Training, split_validation

ROOT = Path(__file__).parent.parent
SHIPPED = sorted(path.stem for path in (ROOT / "weights").glob("*.npz"))
RECORDS = sorted((ROOT / "results").glob("*/seed*"))
N = 1000  # test images: a fixed slice


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_give_the_recorded_spikes(real_data, name):
    network, config = read_weights(ROOT / "weights" / f"{name}.npz")
    responses, labels = read_responses(ROOT / "results" / name / f"seed{config.training.seed}")
    test = load(config.data.dataset, "test", real_data).head(N)
    now = respond(network, test.images, config.data.rounding)
    np.testing.assert_array_equal(test.labels, labels[:N])
    np.testing.assert_array_equal(now.t_out, responses.t_out[:N])
    np.testing.assert_array_equal(now.spikes, responses.spikes[:N])
    assert figures_of_merit(now, test.labels)["accuracy_strict"] > 0.9


@pytest.mark.parametrize("folder", RECORDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_records_agree_with_their_raw_responses(folder):
    record = read_record(folder)
    responses, labels = read_responses(folder)
    derived = figures_of_merit(responses, labels)
    assert derived == {key: record["selected"]["test"][key] for key in derived}
    config = json.loads(json.dumps(read_config(ROOT / "experiments" / f"{record['experiment']}.toml").as_dict()))
    config["training"]["seed"] = record["seed"]
    assert record["config"] == config, "the experiment file has changed since this record was made"


def test_there_are_shipped_networks():
    assert {"mnist", "mnist-plus"} <= set(SHIPPED)
    assert RECORDS


@pytest.mark.parametrize(("name", "floor"), [("mnist-plus", 0.93), ("mnist", 0.80)])
def test_a_slice_of_mnist_is_learned(real_data, tmp_path, name, floor):
    config = read_config(ROOT / "experiments" / f"{name}.toml").with_training(epochs=1)
    learn, validate = split_validation(load("mnist", "train", real_data), config)
    training = Training(config, learn.head(6000), validate.head(1000))
    training.run(tmp_path / "checkpoint.npz", Progress())
    assert training.history[0]["validation"]["accuracy_strict"] > floor
