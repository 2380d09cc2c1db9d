"""Inputs that nobody would write, by the thousand: the contract of the command line holds for all of them.

Fine (exit code 0), or exit code 2 and exactly one line on stderr; never a traceback, a warning, a hang, a changed input
file or a wrong result. `make fuzz` runs 20,000; here the same generators run for less than a minute.
"""

import gzip
import io
import json
import math
import os
import shutil
import signal
import tomllib
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pooch
import pytest
from conftest import idx_bytes, write_idx_set
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from s4nn_ref.app import record, session, storage
from s4nn_ref.app.arguments import parser
from s4nn_ref.app.cli import main
from s4nn_ref.data import glyphs
from s4nn_ref.data.idx import FILES
from s4nn_ref.data.pictures import read_image
from s4nn_ref.files import load_npz, write_npz

KINDS = 9
EXAMPLES = int(os.environ.get("S4NN_FUZZ", 0)) // KINDS or 30  # per kind of input
SECONDS = 30  # of work, after which a command hangs
ran = {}

CONV = """
[network]
structure = "2C3-P2-3"
input_shape = [8, 8, 1]
init = [[-30, 60], [-20, 40]]
padding = "same"
t_max = 20
pool_ties = "potential"
collapse = [1.2, 0.8, 1]
[data]
dataset = "small"
validation = 6
[learning]
loss = "first-spike"
noise = 5
final_potentials = 1
latency_penalty = 0.01
surrogate = "window"
normalise = "l2"
spike_penalty = 1e-5
[optimiser]
rule = "muon"
eta = [0.4, 0.02]
schedule = "exponential"
decay = 0.5
ema = 0.9
weight_decay = 0.01
[augment]
shift = 1
probability = 0.5
rotation = 10
scale = 0.1
shear = 0.1
flip = true
erase = 2
[training]
epochs = 1
batch = 5
order = "with-replacement"
select = "best"
"""
ONLINE = """
[network]
structure = "64-5-3"
input_shape = [8, 8, 1]
init = [[0, 3], [0, 25]]
t_max = 30
exceeds = true
delay = 1
[data]
dataset = "small"
validation = 0
encoding = "intensity"
[learning]
algorithm = "s4nn"
gamma = 2
eta = 0.1
weight_decay = 1e-6
reinitialise = 0.1
[training]
epochs = 1
batch = 1
order = "file"
select = "last"
"""
TARGETS = CONV.replace(
    'loss = "first-spike"\nnoise = 5\nfinal_potentials = 1\nlatency_penalty = 0.01',
    'loss = "relative-targets"\nhinge = true',
)
SIGNS = ONLINE.replace('"s4nn"', '"bs4nn"').replace("weight_decay = 1e-6\nreinitialise = 0.1", "")
ENTROPY = TARGETS.replace('loss = "relative-targets"\nhinge = true', 'loss = "cross-entropy"').replace("muon", "adam")
BASES = [CONV, TARGETS, ONLINE, SIGNS, ENTROPY, ENTROPY.replace("cross-entropy", "s4nn-targets").replace("adam", "sgd")]


def fuzz(function):
    """A property, with as many inputs as this run is for: always the same, or those of S4NN_FUZZ_SEED."""
    chosen = os.environ.get("S4NN_FUZZ_SEED")
    checks = [c for c in HealthCheck if c.name != "nested_given"]
    chosen_settings = settings(
        max_examples=EXAMPLES, derandomize=not chosen, deadline=None, database=None, suppress_health_check=checks
    )
    return chosen_settings(seed(int(chosen))(function) if chosen else function)


# --------------------------------------------------------------------------------------------------- what is run


class Hang(BaseException):
    """Which no command catches."""


@contextmanager
def alarm(seconds):
    """Hang after so many seconds of work, or ten times as many of waiting: other programs may be busy too."""

    def ring(*_):
        raise Hang(f"still there after {seconds} s")

    kinds = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, 10 * seconds))
    before = [signal.signal(number, ring) for number, _, _ in kinds]
    for _, timer, after in kinds:
        signal.setitimer(timer, after)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(kinds, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def contract(kind, *arguments, inputs=()):
    """Run a command; (exit code, stdout, stderr), which are as the contract says."""
    ran[kind] = ran.get(kind, 0) + 1
    before = [path.read_bytes() for path in inputs]
    out, err = io.StringIO(), io.StringIO()
    with warnings.catch_warnings(record=True) as warned, redirect_stdout(out), redirect_stderr(err), alarm(SECONDS):
        warnings.simplefilter("always")  # a warning is a line on stderr too
        code = main([str(a) for a in arguments])
    said = err.getvalue()
    assert code in (0, 2), said
    assert not warned, [str(w.message) for w in warned]
    if code == 2:
        assert said.startswith("s4nn: ")
        assert said.endswith("\n")
        assert len(said.splitlines()) == 1, said
    assert before == [path.read_bytes() for path in inputs]
    return code, out.getvalue(), said


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with a small data set, a trained run, a picture and arrays, in which the process works."""
    folder = tmp_path_factory.mktemp("fuzz")
    rng = np.random.default_rng(0)

    def split(n):
        labels = np.arange(n, dtype=np.uint8) % 3
        images = rng.integers(0, 60, (n, 8, 8, 1)).astype(np.uint8)
        images[np.arange(n), labels * 2 + 1] += 190
        return images, labels

    write_idx_set(folder / "data" / "small", *split(30), *split(9))
    for i, text in enumerate(BASES):
        (folder / f"base{i}.toml").write_text(text)
    (folder / "two.toml").write_text(CONV.replace("epochs = 1", "epochs = 2"))
    Image.fromarray(split(1)[0][0, ..., 0]).save(folder / "a.png")
    Image.fromarray(split(1)[0][0, ..., 0]).save(folder / "a.jpg")
    np.save(folder / "w0.npy", rng.uniform(0, 3, (5, 64)))
    np.save(folder / "w1.npy", rng.uniform(0, 25, (3, 5)).astype(np.float32))
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setenv("S4NN_DATA", str(folder / "data"))
    patch.setattr(record, "_git", lambda *_: None)  # processes would take most of the time
    patch.setattr(os, "fsync", lambda _: None)
    patch.setattr(glyphs, "N_IMAGES", {"train": 30, "test": 10})
    patch.setattr("s4nn_ref.data.idx.cache_dir", lambda: folder / "cache")
    patch.setattr(pooch, "retrieve", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("no network")))
    for i in range(len(BASES)):  # kernels are compiled before anything is timed
        for engine in ("fast", "plain"):
            code = main(["train", f"base{i}.toml", "--out", f"warm{i}{engine}", "--engine", engine])
            assert code == 0 or (engine == "plain" and code == 2)  # which has no delay
    assert main(["train", "two.toml", "--out", "run"]) == 0
    # a run that stands in the middle
    whole = session.Training.run_epoch

    def interrupted(self, progress, stop):
        stop["set"] = self.epoch == 1
        return whole(self, progress, stop)

    patch.setattr(session.Training, "run_epoch", interrupted)
    assert main(["train", "two.toml", "--out", "half"]) == 130
    patch.setattr(session.Training, "run_epoch", whole)
    yield folder
    patch.undo()
    print(f"\n{sum(ran.values()):,} inputs: " + ", ".join(f"{kind} {n:,}" for kind, n in ran.items()))


# ---------------------------------------------------------------------------------------------------- mutations

NUMBERS = [0, 1, -1, 2, 3, 255, 256, 300, 2**31, 2**63 - 1, 2**63, 10**30, -(10**30), 0.5, -0.5, 1e-50, 1e-38, 1e-30,
           1e30, 1e39, 1e300, math.inf, -math.inf, math.nan]  # fmt: skip
WORDS = ["", " ", "small", "mnist/", "..", "a\nb", "\x1b[0m", "glyphs", "none", "eq1", "adam", "sgd", "muon", "cosine",
         "step", "s4nn", "bs4nn", "ds4nn", "l1", "l2", "signed-sum", "same", "valid", "plain", "fast", "index", "file",
         "cross-entropy", "s4nn-targets", "relative-targets", "first-spike", "last", "z", "é", "nul\0"]  # fmt: skip
TOKENS = ["2C3", "1C3S2", "2C9", "P2", "P3", "P182", "3", "10", "64", "1C3000", "0", "-1", "3C0", "999999999", "C3", "",
          "1C1", "2C3S9", "9" * 30, "9" * 5000, "١٠", " 3 "]  # fmt: skip
structures = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=5).map("-".join)
scalars = st.one_of(
    st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.booleans(), st.integers(-20, 20), st.floats(-100, 100),
    st.text(max_size=8), structures,
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "eta", "n"]), inner, max_size=2),
    max_leaves=6,
)


def places(tree, path=()):
    """The path to everything inside nested dictionaries and lists."""
    for key, inner in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


@st.composite
def trees(draw, tree, below=()):
    """A tree of which some places are removed, replaced, renamed or moved."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, 3))):
        candidates = [path for path in places(tree) if path[: len(below)] == tuple(below)]
        if not candidates:
            break
        *above, last = draw(st.sampled_from(candidates))
        inner = tree
        for key in above:
            inner = inner[key]
        what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "nudge"]))
        if what == "remove":
            del inner[last]
        elif what == "rename" and isinstance(inner, dict):
            inner[draw(st.sampled_from([*WORDS, "eta", "loss", "t_max", "name"]))] = inner.pop(last)
        elif what == "nudge" and isinstance(inner[last], int | float) and not isinstance(inner[last], bool):
            inner[last] = inner[last] * draw(st.sampled_from([-1, 0, 2, 0.5, 1 + 1e-9]))
        else:
            inner[last] = draw(values)
    return tree


@st.composite
def damage(draw, content: bytes, most=4):
    """Bytes of which some are flipped, cut, doubled or inserted."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, most))):
        # headers and ends are where it matters
        at = draw(st.one_of(st.integers(0, min(160, len(content))), st.integers(0, len(content))))
        what = draw(st.sampled_from(["flip", "set", "cut", "insert", "double"]))
        if what == "cut":
            del content[at : at + draw(st.sampled_from([1, 2, 8, 10**9]))]
        elif what == "insert":
            content[at:at] = draw(st.binary(max_size=6))
        elif what == "double":
            content[at:at] = content[at : at + 20]
        elif at < len(content):
            content[at] = content[at] ^ (1 << draw(st.integers(0, 7))) if what == "flip" else draw(st.integers(0, 255))
    return bytes(content)


def toml(value, top=True):
    """TOML of nested dictionaries, where it has a form for them."""
    if isinstance(value, dict) and top:
        plain = {key: v for key, v in value.items() if not isinstance(v, dict)}
        lines = [f"{json.dumps(key)} = {toml(v, False)}" for key, v in plain.items()]
        for name in value.keys() - plain.keys():
            lines.append(f"[{json.dumps(name)}]")
            lines += [f"{json.dumps(key)} = {toml(v, False)}" for key, v in value[name].items()]
        return "\n".join(lines) + "\n"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(v, False)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v, False) for v in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if value is not None else '"null"'


# --------------------------------------------------------------------------------------------- kinds of inputs


def train(kind, experiment: bytes):
    """Train an experiment for an epoch; what is left is whole."""
    Path("fuzzed.toml").write_bytes(experiment)
    shutil.rmtree("out", ignore_errors=True)
    code, _, _ = contract(kind, "train", "fuzzed.toml", "--out", "out", "--epochs", 1, inputs=[Path("fuzzed.toml")])
    if code == 0:
        network, _ = storage.read_weights(Path("out/weights.npz"))
        assert np.isfinite(network.parameters).all()
        shares = record.read_record(Path("out"))["selected"]["test"]
        assert 0 <= shares["accuracy_first_spike"] <= shares["accuracy_strict"] <= 1
    return code


def with_key(section, key, value):
    tables = tomllib.loads(CONV)
    tables[section][key] = value
    return tables


@fuzz
@given(st.sampled_from(BASES).flatmap(lambda text: trees(tomllib.loads(text))))
@example(with_key("network", "v_th", 1e-50))
@example(with_key("network", "init", [[0, 1e300], [0, 1]]))
@example(with_key("network", "structure", "1C3000-3"))
@example(with_key("network", "input_shape", [10**9, 10**9, 1]))
@example(with_key("network", "init", [[0.0, -0.0], [-0.0, -0.0]]))
@example(with_key("training", "batch", 10**18))
@example(with_key("augment", "scale", -0.0))
@example(with_key("augment", "shift", 10**18))
@example(with_key("training", "seed", 2**63))
@example(with_key("data", "dataset", "mnist/"))
@example(with_key("data", "dataset", "a\nb"))
def test_experiments(room, tables):
    train("experiments", toml(tables).encode("utf-8", "surrogatepass"))


@fuzz
@given(st.sampled_from(BASES).flatmap(lambda text: damage(text.encode(), 3)))
@example(CONV.replace("epochs = 1", f"epochs = {'9' * 5000}").encode())
@example(CONV.replace("epochs = 1", f"epochs = 0x{'f' * 5000}").encode())
@example(CONV.replace("[0.4, 0.02]", "[" * 5000).encode())
@example(b"\xff\xfe\x00")
def test_texts_of_experiments(room, text):
    # numbers that happen to be valid must not make an hour's work
    train("texts", text)


@fuzz
@given(structures, st.sampled_from(["same", "valid"]), st.tuples(*[st.sampled_from([1, 2, 8, 8, 400])] * 3).map(list))
@example("1C3000-3", "same", [8, 8, 1])
@example("P182-3", "valid", [400, 400, 1])
@example("64-3", "valid", [8, 8, 1])
@example("784-999999999", "valid", [28, 28, 1])
@example("9" * 5000, "valid", [8, 8, 1])
def test_structures(room, structure, padding, shape):
    tables = tomllib.loads(CONV)
    weighted = [token for token in structure.split("-") if not token.strip().startswith("P")]
    if structure.split("-")[0].strip().isdigit():
        weighted = weighted[1:]
    tables["network"] |= {"structure": structure, "padding": padding, "input_shape": shape}
    tables["network"]["init"] = [[-10, 30]] * len(weighted)
    tables["optimiser"]["eta"] = 0.1
    code = train("structures", toml(tables).encode())
    if (structure, shape) == ("64-3", [8, 8, 1]):
        assert code == 0
    online = tomllib.loads(ONLINE)
    online["network"] |= {"structure": structure, "init": [[0, 3]] * len(weighted)}
    train("structures", toml(online).encode())


IMAGES = idx_bytes((np.arange(9 * 64).reshape(9, 8, 8) % 251).astype(np.uint8))
LABELS = idx_bytes(np.arange(9, dtype=np.uint8) % 3)


@fuzz
@given(damage(IMAGES), damage(LABELS), st.sampled_from(["images", "labels", "both"]), st.booleans(), st.booleans())
@example(IMAGES, LABELS, "none", False, False)
def test_idx_files(room, images, labels, damaged, packed, damage_archive):
    images = images if damaged in ("images", "both") else IMAGES
    labels = labels if damaged in ("labels", "both") else LABELS
    folder = Path("own/odd")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = []
    for what, content in (("images", images), ("labels", labels)):
        packed_content = gzip.compress(content, mtime=0)
        if damage_archive:
            packed_content = packed_content[:4] + content[4:8] + packed_content[8:-6] + content[:6]
        path = folder / (FILES["test", what] + (".gz" if packed else ""))
        path.write_bytes(packed_content if packed else content)
        written.append(path)
    command = ("evaluate", "run/weights.npz", "--data", "own", "--dataset", "odd", "--json")
    code, out, _ = contract("idx", *command, inputs=written)
    if code == 0:  # what was read is what the files hold
        n = int.from_bytes(images[4:8], "big")
        assert json.loads(out)["n"] == n == len(labels) - 8
        assert len(images) == 16 + 64 * n
    elif damaged == "none":
        raise AssertionError
    contract("idx", "data", "verify", "odd", "--data", "own", inputs=written)


def picture(mode, kind, **options):
    """A file of a picture of a mode."""
    buffer = io.BytesIO()
    rng = np.random.default_rng(1)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 2**16, (9, 7)).astype(np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (9, 7, 3)).astype(np.uint8)).convert(mode)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PICTURES = [
    picture("L", "PNG"), picture("1", "PNG"), picture("P", "PNG", transparency=3), picture("RGBA", "PNG"),
    picture("LA", "PNG"), picture("I;16", "PNG"), picture("I;16", "PNG", transparency=300), picture("RGB", "JPEG"),
    picture("L", "PNG", transparency=7), picture("L", "JPEG"), picture("CMYK", "JPEG"), picture("RGB", "PNG"),
    picture("L", "JPEG", progressive=True),
]  # fmt: skip


def huge(width, height):
    """A PNG that says that it is large."""
    import struct
    import zlib

    content = bytearray(PICTURES[0])
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


@fuzz
@given(st.sampled_from(PICTURES).flatmap(damage), st.booleans())
@example(huge(20_000, 10_000), False)  # 200 million pixels
@example(huge(10_000, 10_000), False)
@example(huge(2**31 - 1, 2**31 - 1), False)
@example(picture("I;16", "PNG", transparency=300), True)
def test_pictures(room, content, invert):
    path = Path("fuzzed.png")
    path.write_bytes(content)
    code, _, _ = contract("pictures", "predict", "run/weights.npz", path, *["--invert"] * invert, inputs=[path])
    if code == 0:
        image = read_image(path, (8, 8, 1), invert).image
        assert (image.shape, image.dtype) == ((8, 8, 1), np.uint8)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


ARRAYS = [
    npy(array)
    for array in (
        np.ones((5, 64)), np.ones((5, 64), np.float32, order="F"), np.ones((5, 64, 1)), np.full((5, 64), 1e300),
        np.full((5, 64), np.nan), np.ones((5, 8, 8), np.int8), np.ones((5, 64), ">f8"), np.ones((5, 64), complex),
        np.full((5, 64), "a"), np.array([None, 1]), np.ones((5, 64), bool), np.ones((0, 64)), np.ones(()),
        np.full((5, 64), 300), np.ones((5, 64), "M8[s]"), np.ones(5, [("a", float)]), np.ones((5, 64), np.longdouble),
    )
]  # fmt: skip


@fuzz
@given(st.sampled_from(ARRAYS).flatmap(damage), st.sampled_from([(), ("--factor", "2", "3"), ("--factor", "nan", "1")]))
@example(ARRAYS[0][:8] + bytes([ARRAYS[0][8] ^ 0x80]) + ARRAYS[0][9:], ())
@example(ARRAYS[3], ())
@example(ARRAYS[-1], ())
@example(ARRAYS[10], ("--factor", "2", "3"))  # booleans
def test_arrays(room, content, factor):
    path = Path("fuzzed.npy")
    path.write_bytes(content)
    experiment = "base3.toml" if factor else "base2.toml"
    command = ("import", experiment, path, "w1.npy", "--out", "imported.npz", "--force", *factor)
    code, _, _ = contract("arrays", *command, inputs=[path, Path("w1.npy"), Path(experiment)])
    if code == 0:
        with warnings.catch_warnings(action="ignore"):
            expected = np.load(path).reshape(5, 8, 8, 1)
            expected = (2 * np.sign(expected + 0) if factor else expected).astype(np.float32)
        np.testing.assert_array_equal(storage.read_weights(Path("imported.npz"))[0].w[0], expected)


def assert_same_network(path, arrays):
    """What is read is what the file holds."""
    for i, w in enumerate(storage.read_weights(path)[0].w):
        np.testing.assert_array_equal(w, arrays[f"w{i}"].astype(np.float32))


@fuzz
@given(st.data())
def test_weights_and_checkpoints(room, data):
    name = data.draw(st.sampled_from(["weights", "checkpoint"]))
    source, path = Path("run/weights.npz" if name == "weights" else "half/checkpoint.npz"), Path(f"odd/{name}.npz")
    shutil.rmtree("odd", ignore_errors=True)
    path.parent.mkdir()
    if data.draw(st.booleans()):
        arrays, meta = load_npz(source)
        if data.draw(st.booleans()):
            meta = data.draw(trees(meta))
        else:
            key = data.draw(st.sampled_from(sorted(arrays)))
            array = arrays.pop(key)
            double = array.astype("f8")
            changes = [None, array[..., :-1] if array.ndim else array, double, double * 1e300, array * np.nan,
                       array.astype("i2"), array.astype("U"), -array, array.T, array[None]]  # fmt: skip
            change = changes[data.draw(st.integers(0, len(changes) - 1))]
            if change is not None:
                arrays[data.draw(st.sampled_from([key, key, "w7"]))] = change
        write_npz(path, arrays, meta)
    else:
        path.write_bytes(data.draw(damage(source.read_bytes())))
    if name == "checkpoint":
        contract("checkpoints", "train", "two.toml", "--out", "odd", "--resume", inputs=[Path("two.toml")])
        return
    if contract("weights", "info", path, inputs=[path])[0] == 0:
        assert_same_network(path, load_npz(path)[0])
    contract("weights", "evaluate", path, "--limit", 3, inputs=[path])


@fuzz
@given(st.data())
def test_records(room, data):
    path = Path("odd/record.json")
    shutil.rmtree("odd", ignore_errors=True)
    shutil.copytree("run", "odd")
    content = json.loads(path.read_text())
    if data.draw(st.booleans()):
        path.write_text(json.dumps(data.draw(trees(content))))
    else:
        path.write_bytes(data.draw(damage(path.read_bytes())))
    contract("records", "compare", "odd", inputs=[path])
    contract("records", "train", "two.toml", "--out", "odd", "--resume", inputs=[path])


KEPT = ["base0.toml", "base2.toml", "two.toml", "a.png", "a.jpg", "w0.npy", "w1.npy", "run/weights.npz",
        "run/record.json"]  # fmt: skip


def words():
    """Commands, options and values, in any order; the first is mostly a command."""
    commands = next(a.choices for a in parser()._actions if hasattr(a, "choices") and isinstance(a.choices, dict))
    options = {o for p in commands.values() for a in p._actions for o in a.option_strings}
    files = [*KEPT, "run", "half", "data", "nothing", "", ".", "/", "/dev/null", "x" * 5000, "a\nb", "\udcff"]
    others = ["1", "2", "0", "-1", "1e9", "9" * 50, "nan", "small", "mnist", "glyphs", "fetch", "where", "verify",
              "test", "plain", "new", "new.npz", "new.png", "--", "-", "--no", "=", "--epochs=1"]  # fmt: skip
    any_word = st.sampled_from([*files, *others]) | st.sampled_from(sorted(options))
    first = st.sampled_from(sorted(commands)) | any_word
    return st.tuples(first, st.lists(any_word, max_size=7)).map(lambda parts: [parts[0], *parts[1]])


@fuzz
@given(words())
@example(["evaluate", "run/weights.npz", "--dataset", "mnist/"])
@example(["predict", "run/weights.npz", "a.png", "--plot", "a.png"])
@example(["predict", "run/weights.npz", "a.png", "--plot", "a.png", "--force"])
@example(["import", "base2.toml", "w0.npy", "w1.npy", "--out", "w1.npy", "--force"])
@example(["train", "base0.toml", "--out", "a.png"])
def test_command_lines(room, arguments):
    if "train" in arguments and "--epochs" not in arguments:
        arguments = [*arguments, "--epochs", "1"]
    before = {name: Path(name).read_bytes() for name in KEPT}
    contract("command lines", *arguments)
    after = {name: Path(name).read_bytes() for name in KEPT if Path(name).exists()}
    if "train" in arguments and "--force" in arguments:  # which is asked to discard what is in --out
        for name in KEPT:
            Path(name).write_bytes(before[name])
    else:
        assert after == before
    for left in ("new", "new.npz", "new.png", "runs"):
        shutil.rmtree(left, ignore_errors=True)
        Path(left).unlink(missing_ok=True)
