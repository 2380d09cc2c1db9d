"""What becomes of a command that nobody listens to, with real processes and real streams."""

import os
import shlex
import subprocess
import sys

import pytest
from conftest import assert_refused

from s4nn_ref.app.record import read_record
from s4nn_ref.app.streams import Stream
from s4nn_ref.files import load_npz

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams of a POSIX shell")
S4NN = f"{shlex.quote(sys.executable)} -m s4nn_ref"

DENSE = """
[network]
structure = "784-10"
init = [[-1, 1]]
[data]
dataset = "tiny"
validation = 40
[training]
epochs = 2
batch = 20
"""


def shell(command, *paths):
    """Run a line of bash, in which {0}, {1} ... stand for paths: (exit code of its first command, stdout, stderr)."""
    line = command.format(*(shlex.quote(str(path)) for path in paths), s4nn=S4NN)
    result = subprocess.run(
        ["bash", "-c", line + "; exit ${PIPESTATUS[0]}"], capture_output=True, text=True, timeout=300
    )
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize(
    "streams", ["> /dev/full", "2> /dev/full", ">&-", "2>&-", ">&- 2>&- <&-", "| true", "2>&1 | head -1"]
)
def test_training_goes_on_when_nobody_listens(streams, tmp_path, data_dir):
    (tmp_path / "dense.toml").write_text(DENSE)
    train = "{s4nn} train {0} --data {1} --out {2} " + streams
    code, out, err = shell(train, tmp_path / "dense.toml", data_dir, tmp_path / "run")
    assert code == 0, err
    assert len(read_record(tmp_path / "run")["history"]) == 2
    assert err == ""
    assert ("epoch" in out) == (streams in ("2> /dev/full", "2>&-"))
    load_npz(tmp_path / "run" / "weights.npz")


def test_a_refusal_is_one_even_where_nobody_hears_it(tmp_path, data_dir):
    (tmp_path / "dense.toml").write_text(DENSE.replace("784-10", "784-5"))
    for streams in ("2>&-", "2> /dev/full"):
        code, out, err = shell("{s4nn} train {0} --data {1} " + streams, tmp_path / "dense.toml", data_dir)
        assert (code, out, err) == (2, "", "")


@pytest.mark.parametrize(
    ("streams", "code", "says"),
    [
        ("| true", 0, ""),
        ("> /dev/full", 2, "s4nn: cannot write to standard output: No space left on device; send it elsewhere\n"),
        (">&-", 2, "s4nn: cannot write to standard output: it is closed; send it elsewhere\n"),
        ("> /dev/full 2>&-", 2, ""),
    ],
)
def test_output_that_is_the_product(streams, code, says, run_dir):
    command = "{s4nn} compare {0} " + streams
    if streams == "| true":  # whose reader has certainly gone
        command = "(sleep 0.5; {s4nn} compare {0}) | true"
    assert shell(command, run_dir) == (code, "", says)


def test_help_to_a_full_disk_is_one_line():
    code, _, err = shell("{s4nn} --help > /dev/full")
    assert (code, len(err.splitlines())) == (2, 1)
    assert shell("{s4nn} --help | true")[0::2] == (0, "")


def test_a_drawing_is_made_though_nobody_reads(run_dir, tmp_path):
    from PIL import Image

    Image.linear_gradient("L").resize((28, 28)).point(lambda grey: grey // 3).save(tmp_path / "a.png")
    predict = "{s4nn} predict {0} {1} --plot {2} > /dev/full"
    code, _, err = shell(predict, run_dir / "weights.npz", tmp_path / "a.png", tmp_path / "v.png")
    assert (code, err) == (0, "")
    assert Image.open(tmp_path / "v.png").width > 100


def test_no_file_is_taken_for_a_stream_that_was_closed(tmp_path, data_dir):
    """Descriptor 2 is free for the next file that is opened, unless something else is put there."""
    (tmp_path / "dense.toml").write_text(DENSE)
    code = "import os, sys, s4nn_ref.app.cli as c; c.main(sys.argv[1:]); print(os.readlink('/proc/self/fd/2'))"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} data where tiny --data {{1}} 2>&-"
    assert shell(command, tmp_path, data_dir)[1].splitlines()[-1] == "/dev/null"


def test_names_that_the_terminal_cannot_show(run_dir, tmp_path):
    from PIL import Image

    picture = os.fsencode(tmp_path) + b"/\xff\n.png"
    Image.new("L", (28, 28), 90).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", picture)
    command = [sys.executable, "-m", "s4nn_ref", "predict", str(run_dir / "weights.npz"), picture]
    result = subprocess.run(command, capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert b"\\udcff" in result.stdout
    result = subprocess.run([*command[:-1], picture + b"x"], capture_output=True, text=True, timeout=300)
    assert_refused((result.returncode, result.stdout, result.stderr), "\\udcff\\n.pngx")


def test_a_stream_that_fails_drops_the_rest():
    class Full:
        encoding, written = "ascii", ""

        def write(self, text):
            if self.written:
                raise OSError(28, "full")
            self.written += text

        def flush(self):
            raise OSError(28, "full")

    full = Full()
    stream = Stream(full)
    for text in ("± one", "two"):
        assert stream.write(text) == len(text)
    stream.flush()
    assert full.written == "\\xb1 one"
