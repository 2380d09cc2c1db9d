"""Experiments: one TOML file each, read into frozen dataclasses. Unknown or ill-typed keys are errors.

Defaults are the paper's where it names a value; every other default is a row of docs/deviations.md.
"""

import difflib
import tomllib
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from s4nn_ref.errors import InputError
from s4nn_ref.structure import parse_structure


@dataclass(frozen=True)
class DataConfig:
    """What is learned. validation: training images held out, to choose the epoch; rounding: of Eq. 1 (D1), or
    "intensity" for a step per grey level, t = 255 - intensity (D26)."""

    dataset: str = "mnist"
    validation: int = 5000
    rounding: typing.Literal["floor", "nearest", "intensity"] = "floor"


@dataclass(frozen=True)
class NetworkConfig:
    """The network. init: (low, high) of each weighted layer's uniform initial weights, potential units (Table 1);
    bound: (start, end, power) of the output threshold that falls with time, in units of v_th (D25); strict, delay: a
    neuron fires where V > v_th, and its spike leaves so many steps later (D26)."""

    structure: str
    init: tuple[tuple[float, float], ...]
    input_shape: tuple[int, int, int] = (28, 28, 1)
    padding: typing.Literal["valid", "same"] = "valid"
    t_max: int = 100  # section 3.1
    v_th: float = 100.0  # section 3.1
    pool_ties: typing.Literal["index", "potential"] = "index"
    bound: tuple[float, float, float] = (1.0, 1.0, 1.0)
    strict: bool = False
    delay: int = 0


@dataclass(frozen=True)
class LearningConfig:
    """The learning rule.

    algorithm : of docs/algorithms.md. lam is the margin lambda of DS4NN, the gamma of S4NN and BS4NN
    error     : of "ds4nn": "target", Eqs. 4-6 with margin lam; "race", the smoothed first spike with escape noise
                `noise` in potential units (D15), beside which the last potentials teach with weight readout (D21), and
                in which a step of waiting costs haste (D30); or one of Table 3's rivals (D22), "s4nn", "mostafa",
                "comsa"
    hinge (of "target") D10; surrogate D5; normalise D4
    revive    : of "s4nn": hidden neurons that fire for a smaller share of an epoch's images start anew
    fact, eta_fact : of "bs4nn": initial factor of the signs, and its learning rate
    """

    algorithm: typing.Literal["ds4nn", "s4nn", "bs4nn"] = "ds4nn"
    error: typing.Literal["target", "race", "s4nn", "mostafa", "comsa"] = "target"
    noise: float = 10.0
    readout: float = 0.0
    haste: float = 0.0
    lam: float = 10.0  # Table 1
    hinge: bool = False
    surrogate: typing.Literal["fired", "window", "window-fired", "window-silent"] = "fired"
    normalise: typing.Literal["none", "signed-sum", "l1", "l2"] = "none"
    revive: float = 0.0
    fact: float = 5.0
    eta_fact: float = 0.01


@dataclass(frozen=True)
class OptimiserConfig:
    """Updates.

    rule  : "muon" moves hidden layers along the polar factor of their momentum, eta being the root mean square of a
            weight's change, and the output layer as Adam does, with the same beta1 (D31)
    eta, weight_decay : one value, or one per weighted layer
    decay : factor on eta every decay_every epochs (schedule "step") or every epoch ("exponential")
    warmup, ema : epochs of linear rise; decay of the moving average of the weights that is evaluated (0: none)
    """

    eta: tuple[float, ...] = (0.1,)  # Table 1
    rule: typing.Literal["adam", "sgd", "muon"] = "adam"
    beta1: float = 0.9  # Kingma and Ba 2015; for SGD and Muon: momentum
    beta2: float = 0.999
    eps: float = 1e-8
    schedule: typing.Literal["step", "exponential", "cosine", "constant"] = "step"
    decay: float = 0.9  # section 4
    decay_every: int = 5  # section 4
    warmup: float = 0.0
    weight_decay: tuple[float, ...] = (0.0,)
    ema: float = 0.0


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of training images, nearest neighbour (D14). shift: pixels, uniform in [-shift, shift];
    with `probability` also rotation (degrees), scale (relative) and shear (relative), each uniform in +-; flip: with
    probability 1/2 left and right are swapped; erase: with probability 1/2 a square of at most erase x erase pixels is
    blanked; epochs: all but the flip ends behind so many epochs (0: with the run)."""

    shift: int = 0
    probability: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    flip: bool = False
    erase: int = 0
    epochs: int = 0

    def at(self, epoch: int) -> "AugmentConfig":
        """What is done in an epoch, counted from 0."""
        return self if not self.epochs or epoch < self.epochs else AugmentConfig(flip=self.flip)

    @property
    def active(self) -> bool:
        return self.shift > 0 or self.probability > 0 or self.flip or self.erase > 0


@dataclass(frozen=True)
class TrainingConfig:
    """How long, and in which order.

    order  : of the images of an epoch, "shuffled", "file" as in the data set, or "drawn" with replacement
    select : which weights are the run's result, of the last epoch or of the best validation accuracy
    """

    epochs: int = 20
    batch: int = 1
    order: typing.Literal["shuffled", "file", "drawn"] = "shuffled"
    seed: int = 0
    select: typing.Literal["best", "last"] = "best"


@dataclass(frozen=True)
class Config:
    """One experiment, as in experiments/*.toml."""

    network: NetworkConfig
    data: DataConfig = field(default_factory=DataConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    name: str = ""

    def as_dict(self) -> dict:
        return asdict(self)

    def with_training(self, **changes) -> "Config":
        """The same experiment with other training keys; None leaves a key alone."""
        changes = {key: value for key, value in changes.items() if value is not None}
        return _checked(replace(self, training=replace(self.training, **changes)))


def _type_name(kind) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in args)
    if origin is tuple:
        return f"a list, each element {_type_name(args[0])}"
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    return names.get(kind, str(kind))


def _value(value, kind, where: str):
    """value as a `kind`, or an InputError that names the key."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    bad = InputError(f"{where} = {value!r}: expected {_type_name(kind)}")
    if origin is typing.Literal:
        if value not in args or isinstance(value, bool):
            raise bad
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            if args[-1] is Ellipsis and args[0] is float:  # one value for all layers
                return (_value(value, args[0], where),)
            raise bad
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        if len(kinds) != len(value):
            raise InputError(f"{where} = {value!r}: expected {len(kinds)} elements")
        return tuple(_value(v, k, where) for v, k in zip(value, kinds, strict=True))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if value != value or value in (float("inf"), float("-inf")):
            raise bad
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise bad


def _section(kind, table, where: str):
    """A dataclass from a table; unknown, missing and ill-typed keys are errors."""
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table, e.g. [{where}]")
    hints = typing.get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise InputError(f"unknown key {where + '.' if where else ''}{key}; {hint}")
    values = {}
    for f in fields(kind):
        path = f"{where}.{f.name}" if where else f.name
        if f.name in table:
            hint = hints[f.name]
            values[f.name] = (
                _section(hint, table[f.name], path) if is_dataclass(hint) else _value(table[f.name], hint, path)
            )
        elif f.default is f.default_factory:  # both MISSING: the key has no default
            raise InputError(f"missing key {path}; see experiments/mnist.toml for an example")
    return kind(**values)


def _in_range(config: Config) -> None:
    n, d, le, o, a, t = (
        config.network, config.data, config.learning, config.optimiser, config.augment, config.training
    )  # fmt: skip
    rules = [
        ("network.t_max", n.t_max, 1 <= n.t_max < 2**14, "in 1..16383"),
        ("network.v_th", n.v_th, n.v_th > 0, "> 0"),
        ("network.bound", n.bound, min(n.bound) > 0 and n.bound[0] >= n.bound[1], "start >= end > 0, power > 0"),
        ("network.input_shape", n.input_shape, min(n.input_shape) >= 1, "positive"),
        ("network.init", n.init, all(low <= high for low, high in n.init), "pairs [low, high] with low <= high"),
        ("network.delay", n.delay, 0 <= n.delay <= 1, "0 or 1"),
        ("learning.revive", le.revive, 0 <= le.revive <= 1, "in [0, 1]"),
        ("learning.fact", le.fact, le.fact > 0, "> 0"),
        ("learning.eta_fact", le.eta_fact, le.eta_fact >= 0, ">= 0"),
        ("data.validation", d.validation, d.validation >= 0, ">= 0"),
        ("learning.lam", le.lam, le.lam >= 0, ">= 0"),
        ("learning.readout", le.readout, le.readout >= 0, ">= 0"),
        ("learning.haste", le.haste, le.haste >= 0, ">= 0"),
        ("learning.noise", le.noise, le.noise > 0, "> 0"),
        ("optimiser.eta", o.eta, all(eta >= 0 for eta in o.eta), ">= 0"),
        ("optimiser.weight_decay", o.weight_decay, all(x >= 0 for x in o.weight_decay), ">= 0"),
        ("optimiser.beta1", o.beta1, 0 <= o.beta1 < 1, "in [0, 1)"),
        ("optimiser.beta2", o.beta2, 0 <= o.beta2 < 1, "in [0, 1)"),
        ("optimiser.eps", o.eps, o.eps > 0, "> 0"),
        ("optimiser.ema", o.ema, 0 <= o.ema < 1, "in [0, 1)"),
        ("optimiser.decay", o.decay, 0 < o.decay <= 1, "in (0, 1]"),
        ("optimiser.decay_every", o.decay_every, o.decay_every >= 1, ">= 1"),
        ("optimiser.warmup", o.warmup, o.warmup >= 0, ">= 0"),
        ("augment.erase", a.erase, a.erase >= 0, ">= 0"),
        ("augment.epochs", a.epochs, a.epochs >= 0, ">= 0"),
        ("augment.shift", a.shift, a.shift >= 0, ">= 0"),
        ("augment.probability", a.probability, 0 <= a.probability <= 1, "in [0, 1]"),
        ("augment.rotation", a.rotation, 0 <= a.rotation <= 180, "in [0, 180]"),
        ("augment.shear", a.shear, 0 <= a.shear < 1, "in [0, 1)"),
        ("augment.scale", a.scale, 0 <= a.scale < 1, "in [0, 1)"),
        ("training.epochs", t.epochs, t.epochs >= 0, ">= 0"),
        ("training.batch", t.batch, t.batch >= 1, ">= 1"),
        ("training.seed", t.seed, t.seed >= 0, ">= 0"),
    ]
    for where, value, good, expected in rules:
        if not good:
            raise InputError(f"{where} = {value!r}: expected a value {expected}")


def _fits_algorithm(config: Config, kinds: set[str]) -> None:
    """Raise InputError on settings that the algorithm would not follow; kinds : of the layers."""
    n, le, o, t = config.network, config.learning, config.optimiser, config.training
    online = le.algorithm != "ds4nn"
    own = {"algorithm", "lam", *(("revive",) if le.algorithm == "s4nn" else ("fact", "eta_fact"))}
    strange = {f.name for f in fields(LearningConfig)} - own if online else {"revive", "fact", "eta_fact"}
    needed = [
        ("network.strict", n.strict == online, str(online).lower()),
        ("network.delay", n.delay == online, str(int(online))),
        *((f"learning.{f.name}", getattr(le, f.name) == f.default, f"{f.default!r}, which is its default")
          for f in fields(LearningConfig) if f.name in strange),
    ]  # fmt: skip
    if online:
        plain = o.rule == "sgd" and not o.ema
        decays = [eta * decay for eta, decay in zip(o.eta, o.weight_decay, strict=True)]
        needed += [
            ("network.structure", kinds == {"dense"}, "dense layers only, e.g. 784-400-10"),
            ("network.bound", n.bound == (1.0, 1.0, 1.0), "[1, 1, 1], a constant threshold"),
            ("training.batch", t.batch == 1, "1"),
            ("optimiser.rule", plain, '"sgd", without average'),
            ("optimiser.weight_decay", max(decays) < 1 if le.algorithm == "s4nn" else not any(o.weight_decay),
             "a value below 1 / eta" if le.algorithm == "s4nn" else "0"),
        ]  # fmt: skip
    for where, good, expected in needed:
        if not good:
            raise InputError(f'learning.algorithm = "{le.algorithm}" needs {where} = {expected}')


def _checked(config: Config) -> Config:
    """The experiment with one eta and weight_decay per weighted layer, its structure parsed once to check it."""
    _in_range(config)
    n = config.network
    layers = parse_structure(n.structure, n.input_shape, n.padding)
    weighted = [layer.token for layer in layers if layer.geometry]
    per_layer = {}
    for where, values in (("eta", config.optimiser.eta), ("weight_decay", config.optimiser.weight_decay)):
        if len(values) == 1:
            values = values * len(weighted)
        if len(values) != len(weighted):
            raise InputError(
                f"optimiser.{where} has {len(values)} values, but {n.structure} has {len(weighted)} weighted layers "
                f"({', '.join(weighted)}); give one value, or one per layer"
            )
        per_layer[where] = values
    if len(n.init) != len(weighted):
        raise InputError(
            f"network.init has {len(n.init)} ranges, but {n.structure} has {len(weighted)} weighted layers "
            f"({', '.join(weighted)}); give one [low, high] per layer"
        )
    config = replace(config, optimiser=replace(config.optimiser, **per_layer))
    _fits_algorithm(config, {layer.kind for layer in layers})
    return config


def config_of_stored(tables: dict, path) -> Config:
    """The experiment that a file of ours holds. Raises InputError, naming the file, on one of another version."""
    try:
        return config_of_dict(tables)
    except (InputError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: its experiment cannot be read ({error}); was it written by another version? Use that one, or "
            "start anew with --force or another --out"
        ) from None


def config_of_dict(table: dict, name: str = "") -> Config:
    """An experiment from nested dictionaries, as `Config.as_dict` or a TOML parser gives them.

    Raises InputError on an unknown, missing, ill-typed or impossible key.
    """
    config = _section(Config, {"name": name, **table}, "")
    return _checked(config)


def read_config(path: Path) -> Config:
    """An experiment from a TOML file; its name is the file's.

    Raises InputError where the file is missing, is no TOML, or `config_of_dict` refuses it.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
        if "name" in table:
            raise InputError("name: an experiment is called as its file; remove the key")
        return config_of_dict(table, name=path.stem)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; experiments are in experiments/*.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
