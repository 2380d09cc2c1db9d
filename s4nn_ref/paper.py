"""Figures quoted from the paper, to stand beside measured ones. Shares in [0, 1], times in steps, spikes per image."""

PAPER = {
    # abstract and section 3.1
    "mnist": {"test": 0.993, "train": 0.998, "mrn": 1126.0, "decision_time": 15.6},
    # abstract and section 3.2; a decision time is not given
    "fashion-mnist": {"test": 0.916, "train": 0.953, "mrn": 1863.0, "decision_time": None},
}
