"""Experiments as TOML files, of which `read_config` makes the same experiment."""

import json
from pathlib import Path

from s4nn_ref.config import Config
from s4nn_ref.files import write_atomically


def write_config(path: Path, config: Config) -> None:
    """Every key of an experiment; its name becomes the file's."""
    lines = []
    for section, keys in config.as_dict().items():
        if section != "name":
            # strings, numbers, truth values and lists are written in TOML as they are in JSON
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""]
    write_atomically(path, "\n".join(lines).encode())
