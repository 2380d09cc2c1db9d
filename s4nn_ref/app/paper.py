"""Numbers quoted from the paper, to stand beside measured ones. Shares in [0, 1], times in steps, spikes per image."""

# learning algorithm and data set: what is quoted of it
PAPER = {
    # abstract and section 3.1
    ("ds4nn", "mnist"): {"test": 0.993, "train": 0.998, "mrn": 1126.0, "decision_time": 15.6},
    # abstract and section 3.2; a decision time is not given
    ("ds4nn", "fashion-mnist"): {"test": 0.916, "train": 0.953, "mrn": 1863.0},
    # Tables 2 and 4; BS4NN on MNIST: Kheradpisheh, Mirsadeghi and Masquelier 2022
    ("s4nn", "mnist"): {"test": 0.974},
    ("s4nn", "fashion-mnist"): {"test": 0.88},
    ("bs4nn", "mnist"): {"test": 0.97},
    ("bs4nn", "fashion-mnist"): {"test": 0.873},
    ("mostafa", "mnist"): {"test": 0.972},
    ("comsa", "mnist"): {"test": 0.979},
    ("stidi", "mnist"): {"test": 0.974},
    ("relpsp", "mnist"): {"test": 0.985},
    ("relpsp", "fashion-mnist"): {"test": 0.881},
}

# the same of systems that are quoted with and without convolutions: with them
_CONVOLUTIONAL = {
    ("relpsp", "mnist"): {"test": 0.994},
    ("relpsp", "fashion-mnist"): {"test": 0.901},
    ("stidi", "mnist"): {"test": 0.992},
    ("stidi", "fashion-mnist"): {"test": 0.928},
}


def quoted_of(config: dict) -> dict[str, float]:
    """What is quoted of the system of an experiment on its data set. config : as in a record"""
    key = config["learning"]["algorithm"], config["data"]["dataset"]
    convolves = "C" in config["network"]["structure"]
    return _CONVOLUTIONAL.get(key, PAPER.get(key, {})) if convolves else PAPER.get(key, {})


# model, structure, accuracy in %, as Tables 2 and 4 print them
TABLE_2 = (
    ("Mostafa [24]", "784-800-10", 97.2),
    ("Comsa et al. [25]", "784-340-10", 97.9),
    ("Kheradpisheh et al. [12]", "784-400-10", 97.4),
    ("Mirsadeghi et al. [13]", "784-350-10", 97.4),
    ("Zhang et al. [11]", "784-800-10", 98.5),
    ("Mirsadeghi et al. [14]", "40C5-P2-1000-10", 99.2),
    ("Zhang et al. [11]", "16C5-P2-32C5-P2-800-128-10", 99.4),
    ("DS4NN (the paper)", "64C3-P2-128C3-P2-10", 99.3),
)
TABLE_4 = (
    ("Kheradpisheh et al. [38]", "784-1000-10", 87.3),
    ("Kheradpisheh et al. [12]", "784-1000-10", 88.0),
    ("Zhang et al. [11]", "784-1000-10", 88.1),
    ("Zhang et al. [11]", "16C5-P2-32C5-P2-800-128-10", 90.1),
    ("Mirsadeghi et al. [14]", "20C5-P2-40C5-P2-1000-10", 92.8),
    ("DS4NN (the paper)", "128C3-P2-128C3-P2-128C3-10", 91.6),
)
# way to set target times, our experiment, dead neurons in %
TABLE_3 = (
    ("relative, Eq. 4 (proposed)", "mnist", 61.0),
    ("S4NN [12]", "table3-s4nn", 95.0),
    ("cross-entropy, Mostafa [24]", "table3-mostafa", 95.4),
    ("cross-entropy, Comsa [25]", "table3-comsa", 95.4),
)
TABLE_5 = {
    "AFT": (37, 22, 40, 30, 32, 31, 45, 20, 21, 17),
    "MRN": (2709, 1925, 2663, 1251, 1885, 1312, 2596, 1038, 3439, 1695),
}
