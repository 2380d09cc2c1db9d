"""The weights that the authors of S4NN published, made again (D45).

`make s4nn-authors` trains them and lets these tests look at its run too, which S4NN_AUTHORS then names.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from s4nn_ref.app.record import read_record
from s4nn_ref.app.storage import read_weights

ROOT = Path(__file__).parent.parent
# of the weights as float64, layer after layer; they agree with the published ones to 6e-10
DIGEST = "063257a98278b1fd6f07da1403306c8fa401cf829f6b547f47fffadf7e09a3f5"
RUN = os.environ.get("S4NN_AUTHORS")


def digest_of(path):
    network, _ = read_weights(path)
    assert network.dtype == np.float64
    return hashlib.sha256(b"".join(w.tobytes() for w in network.w)).hexdigest()


def test_the_shipped_weights_are_those_of_the_digest():
    assert digest_of(ROOT / "weights" / "s4nn-authors.npz") == DIGEST


@pytest.mark.skipif(not RUN, reason="make s4nn-authors trains the published network again, a quarter of an hour")
def test_training_ends_at_the_published_weights():
    assert digest_of(Path(RUN) / "weights.npz") == DIGEST


def test_the_record_has_the_accuracies_of_the_published_weights():
    metrics = read_record(ROOT / "results" / "s4nn-authors" / "seed0")["selected"]["test"]
    found = [round(100 * metrics[key], 2) for key in ("accuracy_authors", "accuracy_strict", "accuracy_first_spike")]
    assert found == [96.69, 96.23, 95.67]
    assert [round(100 * metrics[key], 2) for key in ("silent", "tied")] == [0.80, 1.47]
