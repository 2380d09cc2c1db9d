"""Experiments: one TOML file each, read into the settings that stand next to the code they steer.

A section belongs to a part of the program, which declares its keys: [network] network.py, [data] data/dataset.py,
[learning] the chosen algorithm, [optimiser] training/optimisers.py, [augment] training/augmentation.py, [training]
training/loop.py. Any other key is an error. Defaults are those with which a network of any structure learns (D34); the
paper's values are named by experiments/mnist-literal.toml.
"""

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from s4nn_ref.algorithms import ALGORITHMS, SETTINGS
from s4nn_ref.data.classes import known, listed, without_numbers
from s4nn_ref.data.dataset import Settings as Data
from s4nn_ref.encoding import CONTINUOUS, IN_STEPS
from s4nn_ref.errors import InputError, shown
from s4nn_ref.initial import initial_widths, learning_rates
from s4nn_ref.network import Network
from s4nn_ref.network import Settings as NetworkSettings
from s4nn_ref.settings import choice, from_table, name_of, per_layer, to_table
from s4nn_ref.structure import parse_structure, with_outputs
from s4nn_ref.training.augmentation import Settings as Augment
from s4nn_ref.training.loop import Settings as Training
from s4nn_ref.training.loop import held_out
from s4nn_ref.training.optimisers import RULES


@dataclass(frozen=True)
class _Learning:
    algorithm: object = choice(SETTINGS, "ds4nn")


@dataclass(frozen=True)
class _Rule:
    rule: object = choice(RULES, "adam")


@dataclass(frozen=True)
class _Tables:
    """The sections of a file, each a table."""

    network: dict
    data: dict = field(default_factory=dict)
    learning: dict = field(default_factory=dict)
    optimiser: dict = field(default_factory=dict)
    augment: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    name: str = ""


SECTIONS = {
    "network": NetworkSettings, "data": Data, "learning": _Learning, "optimiser": _Rule, "augment": Augment,
    "training": Training,
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """One experiment, as in experiments/*.toml.

    learning  : Settings of the chosen algorithm
    optimiser : of RULES; None where the algorithm updates weights by itself
    """

    network: NetworkSettings
    data: Data
    learning: object
    optimiser: object
    augment: Augment
    training: Training
    name: str = ""

    @property
    def algorithm(self) -> str:
        """The name of the algorithm."""
        return name_of(self.learning, SETTINGS)

    def as_dict(self) -> dict:
        """JSON-ready tables, of which `config_of_dict` makes the same experiment."""
        sections = {
            "network": self.network, "data": self.data, "learning": _Learning(self.learning),
            "optimiser": self.optimiser and _Rule(self.optimiser), "augment": self.augment, "training": self.training,
        }  # fmt: skip
        return {key: to_table(section) for key, section in sections.items() if section} | {"name": self.name}

    @property
    def open(self) -> bool:
        """Whether the number of outputs or the size of images is "auto", and only data can tell."""
        n = self.network
        return n.input_shape == "auto" or with_outputs(n.structure, 1) != n.structure

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each output neuron's class, or its number. Raises InputError where the experiment is `open`."""
        n = self.network
        outputs = parse_structure(n.structure, n.input_shape, n.padding)[-1].shape_post[2]
        return self.data.names or tuple(map(str, range(outputs)))

    def on(self, dataset) -> "Config":
        """The experiment on these training images, a data.dataset.Dataset: their size, their number of classes and
        these classes' names, and the number of validation images, in place of "auto" and of names that are not given.

        Raises InputError where the network does not suit them.
        """
        names = self.data.names or without_numbers(dataset.classes)
        network = _on(self.network, dataset.images.shape[1:], len(names or dataset.classes))
        data = replace(self.data, names=names, validation=held_out(self, len(dataset.labels)))
        return config_of_dict(replace(self, network=network, data=data).as_dict())

    def like(self, other: "Config") -> "Config":
        """The experiment, and what it leaves to its data as in another one, which has seen them."""
        names = self.data.names or other.data.names
        validation = other.data.validation if self.data.validation == "auto" else self.data.validation
        network = _on(self.network, other.network.input_shape, len(other.classes))
        data = replace(self.data, names=names, validation=validation)
        return config_of_dict(replace(self, network=network, data=data).as_dict())

    def network_of(self) -> Network:
        """Its network, weights zero. Raises InputError where it is `open`."""
        return Network(self.network, ALGORITHMS[self.algorithm].neuron)

    def changed(self, section: str, **changes) -> "Config":
        """The same experiment with other keys of one section; None leaves a key alone."""
        changes = {key: value for key, value in changes.items() if value is not None}
        tables = self.as_dict()
        return config_of_dict({**tables, section: {**tables.get(section, {}), **changes}})


def _expanded(settings, where: str, tokens: list[str], structure: str):
    """Settings whose fields marked "per_layer" hold one value per weighted layer."""
    if settings is None:
        return None
    marked = [f.name for f in fields(settings) if f.metadata.get("per_layer")]
    values = {n: per_layer(getattr(settings, n), tokens, f"{where}.{n}", structure) for n in marked}
    return replace(settings, **values)


def _on(network: NetworkSettings, shape: tuple[int, int, int], classes: int) -> NetworkSettings:
    """A network on images (H, W, C) of so many classes: what is "auto" becomes their numbers."""
    shape = shape if network.input_shape == "auto" else network.input_shape
    return replace(network, input_shape=shape, structure=with_outputs(network.structure, classes))


def _sized(config: Config) -> Config:
    """An experiment of known size: one value per weighted layer, and numbers for the weights and rates of "auto"."""
    network, rule, algorithm = config.network, config.optimiser, ALGORITHMS[config.algorithm]
    specs = parse_structure(network.structure, network.input_shape, network.padding)
    tokens = [spec.token for spec in specs if spec.geometry]
    draws = getattr(algorithm, "draws_weights", False)
    if draws and network.init not in ("auto", ()):
        raise InputError("network.init: this algorithm draws its initial weights itself; remove the key")
    widths = initial_widths([spec.geometry.receptive_field for spec in specs if spec.geometry], network.v_th)
    if network.init == "auto":
        # derived for gradient descent in integer time: with it BS4NN, say, would stay silent
        if not (draws or (algorithm.uses_optimiser and algorithm.neuron.integer)):
            raise InputError(
                f'network.init: name a range [low, high] per layer; algorithm "{config.algorithm}" has no "auto"'
            )
        network = replace(network, init=() if draws else tuple((-width, width) for width in widths))
    if getattr(rule, "eta", None) == "auto":
        if not algorithm.neuron.integer:
            raise InputError('optimiser.eta: name a learning rate; in continuous time there is no "auto"')
        rule = replace(rule, eta=learning_rates(widths))
    for low, high in network.init:
        if low > high:
            raise InputError(f"network.init = {network.init!r}: expected pairs [low, high] with low <= high")
    if len(network.init) != len(tokens) and not draws:
        raise InputError(
            f"network.init has {len(network.init)} ranges, but {network.structure} has {len(tokens)} weighted layers "
            f"({', '.join(tokens)}); give one [low, high] per layer"
        )
    _check_names(config.data.names, network.structure, specs[-1].shape_post[2])
    config = replace(
        config, network=network, learning=_expanded(config.learning, "learning", tokens, network.structure),
        optimiser=_expanded(rule, "optimiser", tokens, network.structure),
    )  # fmt: skip
    algorithm.check(config, specs)
    return config


def _check_names(names: tuple[str, ...], structure: str, outputs: int) -> None:
    """Raise InputError where classes have names, but not one for each output neuron."""
    if names and len(names) != outputs:
        raise InputError(
            f"{structure} has {outputs} output neurons, but there are {len(names)} classes ({listed(names)}); end "
            f"network.structure in -{len(names)} or in -auto, or give each output a name in data.names"
        )
    if len(set(names)) < len(names) or not all(name.strip() and name.isprintable() for name in names):
        raise InputError(f"data.names = {shown(names)}: expected names that differ, of printable characters")


def config_of_dict(tables: dict, name: str = "") -> Config:
    """An experiment from nested dictionaries, as `Config.as_dict` or a TOML parser gives them.

    Initial weights and learning rates that are "auto" become numbers here, so that records hold what was used. Sizes
    that are "auto" do if the data set is a known one; else the experiment is `open`, and `Config.on` its data is not.
    Raises InputError on an unknown, missing, ill-typed or impossible key.
    """
    t = from_table(_Tables, {"name": name, **tables})
    network, learning = from_table(NetworkSettings, t.network, "network"), from_table(_Learning, t.learning, "learning")
    named = name_of(learning.algorithm, SETTINGS)
    algorithm = ALGORITHMS[named]
    rule = from_table(_Rule, t.optimiser, "optimiser").rule if algorithm.uses_optimiser else None
    if not algorithm.uses_optimiser and "optimiser" in tables:
        raise InputError(f'optimiser: algorithm "{named}" updates weights by itself; its keys stand in [learning]')
    if network.collapse[0] < network.collapse[1]:
        raise InputError(f"network.collapse = {network.collapse!r}: expected a value start >= end > 0, power > 0")
    data = from_table(Data, t.data, "data")
    encodings = IN_STEPS if algorithm.neuron.integer else CONTINUOUS
    if data.encoding not in encodings:
        known_here = " and ".join(f'"{name}"' for name in encodings)
        raise InputError(f'data.encoding = "{data.encoding}": the neurons of algorithm "{named}" know {known_here}')
    if facts := known(data.dataset):
        network = _on(network, facts.shape, len(data.names or facts.classes))
        if not data.names and network.structure.endswith(f"-{len(facts.classes)}"):
            data = replace(data, names=without_numbers(facts.classes))
    training = from_table(Training, t.training, "training")
    if training.first and training.order != "file":
        raise InputError('training.first: an epoch begins with a certain image where training.order = "file" only')
    config = Config(
        network, data, learning.algorithm, rule, from_table(Augment, t.augment, "augment"), training, t.name
    )
    return config if config.open else _sized(config)


def read_tables(path: Path) -> dict:
    """The tables of a TOML file. Raises InputError where it is missing, or is not TOML."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; experiments are in experiments/*.toml") from None
    except (ValueError, RecursionError) as error:  # of syntax, encoding, numbers of thousands of digits, nesting
        raise InputError(f"{path} is not valid TOML: {error}") from None


def read_config(path: Path) -> Config:
    """An experiment from a TOML file; its name is the file's.

    Raises InputError where the file is missing, is not TOML, or `config_of_dict` refuses it.
    """
    path = Path(path)
    table = read_tables(path)
    try:
        if "name" in table:
            raise InputError("name: an experiment is called as its file; remove the key")
        return config_of_dict(table, name=path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
