"""Keys of an experiment as keyword arguments: each is put into the section that has it."""

import numpy as np

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.config import SECTIONS, Config, config_of_dict
from s4nn_ref.errors import InputError, shown
from s4nn_ref.settings import elsewhere, known_keys, unknown_key

# `epochs` alone is a key of two sections, and means the length of the run, as on the command line
_ORDER = ("network", "data", "training", "learning", "optimiser", "augment")


def _plain(value):
    """A value as TOML would hold it: without NumPy's types, and with lists for tuples."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _uses(section: str, learning: dict) -> bool:
    """Whether a section is for the algorithm; one without a name is refused later."""
    name = learning.get("algorithm", "ds4nn")
    return section != "optimiser" or name not in ALGORITHMS or ALGORITHMS[name].uses_optimiser


def _refusal(key: str, tables: dict, flat: dict) -> InputError:
    """The error of a keyword that no section has."""
    known, hint = [], ""
    for section in _ORDER:
        kind, table = SECTIONS[section], {**tables.get(section, {}), **flat}
        if _uses(section, tables.get("learning", {})):
            known += known_keys(kind, table, f"{section}.")
            hint = hint or elsewhere(kind, table, key, f"{section}.")
    return unknown_key(key, hint, list(dict.fromkeys(known)))


def with_keys(tables: dict, keys: dict) -> dict:
    """Tables of an experiment with other values for some keys.

    tables : as for `config_of_dict`
    keys   : by their names alone, or a section's name and a dictionary of its keys. A key that chooses another
             algorithm, loss, rule or schedule takes the place of the old one's keys
    Raises InputError on a key that no section has, or that the chosen ones would not use.
    """
    for section in _ORDER:
        for table in (tables.get(section, {}), keys.get(section, {})):
            if not isinstance(table, dict):
                raise InputError(f"{section} = {shown(table)}: expected a table or dictionary of keys of [{section}]")
    flat = {key: _plain(value) for key, value in keys.items() if key not in SECTIONS}
    changed, left = dict(tables), dict(flat)
    for section in _ORDER:
        given = {key: _plain(value) for key, value in keys.get(section, {}).items()}
        if not _uses(section, changed.get("learning", {})):
            changed.pop(section, None)
            if given:
                changed[section] = given  # which is refused, and why
            continue
        before = tables.get(section, {})
        known = known_keys(SECTIONS[section], {**before, **flat, **given}, f"{section}.")
        if twice := [key for key in known if key in left and key in given]:
            raise InputError(f"{section}.{twice[0]} is given twice, alone and in the dictionary {section}; drop one")
        given |= {key: left.pop(key) for key in known if key in left}
        kept = {key: value for key, value in before.items() if key in known}
        if kept or given:
            changed[section] = {**kept, **given}
    for key in left:
        raise _refusal(key, changed, flat)
    return changed


def config_with(tables: dict, keys: dict) -> Config:
    """The experiment of `with_keys`. Raises InputError where it, or the one before the change, is none."""
    changed, network = with_keys(tables, keys), tables.get("network", {})
    if "structure" in network:  # a key that is wrong is told, even where a keyword takes its place
        size = {"input_shape": keys["input_shape"]} if "input_shape" in keys else {}
        config_of_dict({**tables, "network": {**size, **network}})
    return config_of_dict(changed)
