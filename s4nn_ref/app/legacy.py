"""Files written before 0.2.0: the old names of the configuration's keys, read as those of now."""

from pathlib import Path

from s4nn_ref.config import Config, config_of_dict
from s4nn_ref.errors import InputError

_LOSSES = {
    "target": {"loss": "relative-targets"},
    "race": {"loss": "first-spike", "final_potentials": 0.0},
    "s4nn": {"loss": "s4nn-targets"},
    "mostafa": {"loss": "cross-entropy", "variable": "z"},
    "comsa": {"loss": "cross-entropy", "variable": "t"},
}
# keys of a loss, algorithm, rule or schedule: their name before 0.2.0, and now
_KEYS = {
    "relative-targets": {"lam": "lam", "hinge": "hinge"},
    "first-spike": {"noise": "noise", "readout": "final_potentials", "haste": "latency_penalty"},
    "s4nn-targets": {"lam": "gamma"},
    "cross-entropy": {},
    "s4nn": {"lam": "gamma", "revive": "reinitialise"},
    "bs4nn": {"lam": "gamma", "fact": "factor", "eta_fact": "eta_factor"},
    "adam": {"beta1": "beta1", "beta2": "beta2", "eps": "eps"},
    "muon": {"beta1": "beta1", "beta2": "beta2", "eps": "eps"},
    "sgd": {"beta1": "momentum"},
    "step": {"decay": "decay", "decay_every": "decay_every"},
    "exponential": {"decay": "decay"},
    "cosine": {},
    "constant": {},
}


def is_old(tables: dict) -> bool:
    """Whether tables are older than 0.2.0: every experiment named its rounding then."""
    return "rounding" in tables.get("data", {})


def _renamed(table: dict, name: str) -> dict:
    return {new: table[old] for old, new in _KEYS[name].items() if old in table}


def modern(tables: dict) -> dict:
    """The tables of an experiment written before 0.2.0, with the keys of now."""
    network, data, learning, o = (dict(tables[name]) for name in ("network", "data", "learning", "optimiser"))
    for old, new in (("bound", "collapse"), ("strict", "exceeds")):
        if old in network:
            network[new] = network.pop(old)
    rounding = data.pop("rounding")
    data["encoding"] = "eq1" if rounding == "floor" else rounding
    algorithm, schedule = learning.get("algorithm", "ds4nn"), o["schedule"]
    course = {"schedule": schedule, **_renamed(o, schedule)}
    if o.get("warmup"):
        raise InputError(f"optimiser.warmup = {o['warmup']}, which was taken out")
    training = dict(tables["training"])
    if training.get("order") == "drawn":
        training["order"] = "with-replacement"
    new = {**tables, "network": network, "data": data, "training": training}
    if algorithm != "ds4nn":
        decay = {"weight_decay": o["weight_decay"]} if algorithm == "s4nn" else {}
        new["learning"] = {"algorithm": algorithm, **_renamed(learning, algorithm), "eta": o["eta"], **decay, **course}
        del new["optimiser"]
        return new
    loss = _LOSSES[learning["error"]]
    kept = {key: learning[key] for key in ("surrogate", "normalise") if key in learning}
    new["learning"] = {"algorithm": algorithm, **loss, **_renamed(learning, loss["loss"]), **kept}
    always = {key: o[key] for key in ("rule", "eta", "weight_decay", "ema") if key in o}
    new["optimiser"] = {**always, **_renamed(o, o["rule"]), **course}
    return new


def config_of_stored(tables, path: Path) -> Config:
    """The experiment that a file of ours holds, of this release or an older one.

    Raises InputError, naming the file, on one of another version.
    """
    try:
        config = config_of_dict(modern(tables) if is_old(tables) else tables)
        if config.open:  # a run writes what its data told it
            raise InputError("the size of its images or the number of its outputs is not there")
        return config
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # tables of any form
        what = error if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: its experiment cannot be read ({what}); was it written by another version? Use that one, or "
            "start anew with --force or another --out"
        ) from None
