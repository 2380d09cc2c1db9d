"""Files: what is read is whole, what is written is whole, and nothing else is touched."""

import ast
import copy
import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NotRequired, TypedDict

import numpy as np
import pytest
from conftest import assert_refused

from s4nn_ref.app.record import read_record, read_responses
from s4nn_ref.app.storage import read_weights
from s4nn_ref.errors import InputError
from s4nn_ref.files import check_free, load_npz, write_atomically, write_npz
from s4nn_ref.schema import Array, Range, check, check_arrays
from s4nn_ref.training.checkpoint import LATER

ROOT = Path(__file__).resolve().parent.parent
OPTIONAL = {"accuracy_authors", "start", "teachers", "validation"}  # older records lack the first three


def places(value, path=()):
    """The path to every value in nested dictionaries and lists; of a list, to its first element."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def other_type(value):
    """A value of a type that its place cannot have."""
    return 5 if isinstance(value, str) else "x"


def damaged(content):
    """(what was done, copy) for every key that is removed, and for every value that is of another type."""
    for path in places(content):
        *above, last = path
        for change in ("removed", "another type"):
            other = copy.deepcopy(content)
            inner = other
            for key in above:
                inner = inner[key]
            if change == "another type":
                inner[last] = other_type(inner[last])
            elif isinstance(last, str):
                del inner[last]
            else:
                continue
            yield path, change, other


def may_pass(path, change):
    """A key that may be missing: optional ones, and keys of an experiment, which have defaults."""
    return change == "removed" and (path[-1] in OPTIONAL or (path[0] == "config" and len(path) > 1))


def test_a_record_that_is_not_whole_is_refused(run_dir, s4nn):
    path = run_dir / "record.json"
    record, count = json.loads(path.read_text()), 0
    for place, change, content in damaged(record):
        path.write_text(json.dumps(content))
        result = s4nn("compare", run_dir)
        if may_pass(place, change) and result[0] == 0:
            continue
        assert_refused(result, "record.json")
        count += 1
    assert count > 200


def test_weights_that_are_not_whole_are_refused(run_dir, s4nn):
    path = run_dir / "weights.npz"
    arrays, meta = load_npz(path)
    for place, change, content in damaged(meta):
        write_npz(path, arrays, content)
        result = s4nn("info", path)
        if not (may_pass(place, change) and result[0] == 0):
            assert_refused(result, "weights.npz")
    for name, array in arrays.items():
        for other in (
            {},
            {name: array.astype(np.int16)},
            {name: array[1:]},
            {name: array[None]},
            {name: array * np.nan},
        ):
            write_npz(path, {key: arrays[key] for key in arrays if key != name} | other, meta)
            assert_refused(s4nn("info", path), "weights.npz", name)
    write_npz(path, arrays | {"w3": arrays["w0"]}, meta)
    assert_refused(s4nn("info", path), "w3 does not belong there")


def test_a_checkpoint_that_is_not_whole_is_refused(run_dir, s4nn, firing_toml, data_dir):
    path = run_dir / "checkpoint.npz"
    (run_dir / "record.json").unlink()
    arrays, meta = load_npz(path)
    train = ("train", firing_toml, "--data", data_dir, "--out", run_dir, "--epochs", 2, "--resume")
    for place, change, content in damaged(meta):
        write_npz(path, arrays, content)
        older = ("accuracy_authors", "start", "teachers", "names", *LATER["learning"])  # that releases did not have
        if place[-1] in older and change == "removed":
            continue
        assert_refused(s4nn(*train), "checkpoint.npz")
    for name, array in arrays.items():
        for other in ({}, {name: array.astype(bool)}, {name: array[None]}):
            write_npz(path, {key: arrays[key] for key in arrays if key != name} | other, meta)
            assert_refused(s4nn(*train), "checkpoint.npz", name)
    write_npz(path, arrays | {"parameters": arrays["parameters"] * np.nan}, meta)
    assert_refused(s4nn(*train), "parameters holds numbers")
    for key, value in (("epoch", 1), ("best_epoch", 3), ("batch", 10**6), ("batch", -1)):
        write_npz(path, arrays, {**meta, "progress": {**meta["progress"], key: value}})
        assert_refused(s4nn(*train), "checkpoint.npz", "damaged")
    write_npz(path, arrays, meta)
    assert s4nn(*train)[0] == 0


def test_responses_that_are_not_whole_are_refused(run_dir):
    path = run_dir / "responses.npz"
    arrays, meta = load_npz(path)
    for _, _, content in damaged(meta):
        write_npz(path, arrays, content)
        with pytest.raises(InputError, match=r"responses\.npz"):
            read_responses(run_dir)
    outside = {"labels": np.uint8(10), "t_out": np.int16(101), "spikes": np.int32(-1), "silent_hidden": np.nan}
    for name, array in arrays.items():
        wrong = [{name: array.astype("U")}, {name: array[1:]}, {name: array[None]}]
        wrong += [] if name == "v_late" else [{}]
        wrong += [{name: np.where(np.arange(len(array)) == 3, outside[name], array.T).T}] if name in outside else []
        for other in wrong:
            write_npz(path, {key: arrays[key] for key in arrays if key != name} | other, meta)
            with pytest.raises(InputError, match=r"responses\.npz"):
                read_responses(run_dir)


def test_shipped_files_are_whole():
    runs = [path.parent for path in ROOT.glob("results/*/seed*/record.json")]
    assert len(runs) > 25
    for run in runs:
        record = read_record(run)
        responses, labels = read_responses(run)
        assert responses.t_out.shape == (record["selected"]["test"]["n"], 10)
        assert len(labels) == len(responses.t_out)
    for path in ROOT.glob("weights/*.npz"):
        read_weights(path)


class _Inner(TypedDict):
    a: Annotated[int, Range(0, 3)]


class _Outer(TypedDict):
    inner: list[_Inner]
    name: str | None
    by_name: dict[str, float]
    old: NotRequired[bool]


GOOD = {"inner": [{"a": 3}], "name": None, "by_name": {"x": 1}, "more": 5}


def test_a_schema_takes_what_it_says():
    check(GOOD, _Outer, "")
    check({**GOOD, "old": True, "name": "y", "by_name": {}}, _Outer, "")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"inner": [{"a": 4}]}, "inner[0].a is 4, expected 0 to 3"),
        ({"inner": [{"a": True}]}, "inner[0].a is True, expected a whole number"),
        ({"inner": [{}]}, "inner[0].a is missing"),
        ({"inner": {}}, "inner is {}, expected a list"),
        ({"name": 1}, "name is 1, expected a string"),
        ({"by_name": {"x": "1"}}, "by_name.x is '1', expected a number"),
        ({"by_name": {"x": 10**400}}, "expected a number that a float holds"),
        ({"by_name": {"x": 10**9000}}, "by_name.x is a huge number"),
        ({"old": 1}, "old is 1, expected true or false"),
        ({"inner": [{"a": float("nan")}]}, "expected a whole number"),
    ],
)
def test_a_schema_refuses_the_rest(change, says):
    with pytest.raises(InputError) as error:
        check({**GOOD, **change}, _Outer, "")
    assert says in str(error.value)


def test_lengths_of_one_name_are_one_length():
    expected = {"a": Array("f", ("n", 2)), "b": Array("iu", ("n",), Range(0)), "c": Array("f", (), optional=True)}
    good = {"a": np.zeros((3, 2)), "b": np.zeros(3, int)}
    check_arrays(good, expected)
    for wrong, says in (
        ({"a": np.zeros((3, 1))}, "a is float64 (3, 1), expected float (n, 2)"),
        ({"b": np.zeros(4, int)}, "b is int64 (4,), expected whole numbers (n,) with n = 3"),
        ({"b": np.full(3, -1)}, "b holds numbers"),
        ({"c": np.zeros(1)}, "c is"),
        ({"d": np.zeros(1)}, "d does not belong there"),
    ):
        with pytest.raises(InputError) as error:
            check_arrays(good | wrong, expected)
        assert says in str(error.value)


def test_an_error_is_one_line_whatever_it_names():
    assert str(InputError("a\nb\r\x1b[31m\udcff ± c")) == "a\\nb\\r\\x1b[31m\\udcff ± c"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_mode(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"1")
        assert mode(tmp_path / "new") == 0o640
        for wanted in (0o600, 0o664):
            (tmp_path / "new").chmod(wanted)
            write_atomically(tmp_path / "new", b"2")
            assert mode(tmp_path / "new") == wanted
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"2"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").write_bytes(b"1")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"2"


def test_what_is_no_file_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", Path("/dev/null")):
        with pytest.raises(InputError, match="not a file"):
            write_atomically(path, b"1")
    assert not Path("/dev/null").is_file()


KILLED = """
import os, sys
from s4nn_ref import files
os.replace = lambda *_: (print("written", flush=True), sys.stdin.read())
files.write_atomically(sys.argv[1], b"half")
"""


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "checkpoint.npz"
    (tmp_path / ".checkpoint.npz.original").write_bytes(b"the user's own")
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"written\n"
        write_atomically(path, b"1")
        assert len(list(tmp_path.iterdir())) == 3  # it still writes
        writer.kill()
        writer.wait()
    write_atomically(tmp_path / "other", b"1")
    assert len(list(tmp_path.iterdir())) == 4  # files of another name are left alone
    write_atomically(path, b"2")
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint.npz", "other", ".checkpoint.npz.original"}
    assert path.read_bytes() == b"2"


def test_inputs_are_never_overwritten(tmp_path):
    path, link = tmp_path / "a.png", tmp_path / "b.png"
    check_free(path, False, [])
    path.write_bytes(b"1")
    link.symlink_to(path)
    with pytest.raises(InputError, match="--force overwrites it"):
        check_free(path, False, [])
    check_free(path, True, [tmp_path / "other.png"])
    for force in (False, True):
        with pytest.raises(InputError, match="one of the files to read"):
            check_free(link, force, [path])


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*w\.npz: No space left on device"):
        write_npz(tmp_path / "w.npz", {}, {})
    assert not list(tmp_path.iterdir())


def written_directly(source):
    """Calls that write to a file by themselves: with a library, into anything but a buffer in memory."""
    tree = ast.parse(source)
    buffers = {
        ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in ("BytesIO()", "io.BytesIO()")
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name, arguments = ast.unparse(node.func).rpartition(".")[2], [ast.unparse(arg) for arg in node.args]
        saves = name in ("savefig", "savez", "savez_compressed", "imsave", "tofile", "dump")
        saves = saves or (name == "save" and any(keyword.arg == "save_all" for keyword in node.keywords))
        opens = name == "open" and any(arg.strip("'b+") in ("w", "x", "a") for arg in arguments)
        if opens or name in ("write_text", "write_bytes") or (saves and arguments[0] not in buffers):
            yield ast.unparse(node)


def test_every_file_goes_through_the_one_writer():
    for folder in ("s4nn_ref", "figures", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            # a log grows while a process of its own prints
            log = ["(folder / LOG).open('ab')"] if path.name == "jobs.py" else []
            assert list(written_directly(path.read_text())) == log, path


@pytest.mark.parametrize(
    "source", ["open(path, 'wb')", "path.open('w')", "path.write_text(a)", "f.savefig(out / 'a.png')", "np.savez(path)"]
)
def test_a_second_writer_is_found(source):
    assert list(written_directly(source)) == [source]
    assert not list(written_directly("b = BytesIO()\nf.savefig(b)\nopen(path, 'rb')"))
