"""Structure strings: the shapes they give, and what they refuse."""

import pytest

from s4nn_ref.errors import InputError
from s4nn_ref.structure import parse_structure


def shapes(structure, shape=(28, 28, 1), padding="valid"):
    return [layer.shape_post for layer in parse_structure(structure, shape, padding)]


def test_shapes_of_the_papers_networks():
    assert shapes("64C3-P2-128C3-P2-10") == [(26, 26, 64), (13, 13, 64), (11, 11, 128), (5, 5, 128), (1, 1, 10)]
    assert shapes("128C3-P2-128C3-P2-128C3-10")[-2:] == [(3, 3, 128), (1, 1, 10)]
    assert shapes("784-400-10") == [(1, 1, 400), (1, 1, 10)]


def test_shapes_with_stride_padding_and_other_inputs():
    assert shapes("4C3-P2-7", padding="same") == [(28, 28, 4), (14, 14, 4), (1, 1, 7)]
    assert shapes("4C5S2-7", padding="same")[0] == (14, 14, 4)
    assert shapes("4C5S2-7")[0] == (12, 12, 4)
    assert shapes("P3-2C2-3-5", (10, 17, 3)) == [(3, 5, 3), (2, 4, 2), (1, 1, 3), (1, 1, 5)]


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        ("", "is not a layer"),
        ("64C3", "does not end in a dense layer"),
        ("64C29-10", "larger than"),
        ("64C3-P2-128C3-P2-64C6-10", "larger than"),
        ("P29-10", "leaves nothing"),
        ("64C3-P27-10", "leaves nothing"),
        ("10", "starts with 10 inputs"),
        ("783-10", "starts with 783 inputs"),
        ("784", "does not end in a dense layer"),
        ("784-10-P2-10", "cannot follow"),
        ("64K3-10", "is not a layer"),
        ("64C0-10", "is not a layer"),
        ("0C3-10", "is not a layer"),
        ("64C3--10", "is not a layer"),
        ("64C3-P2-10-", "is not a layer"),
    ],
)
def test_impossible_structures_are_refused(structure, says):
    with pytest.raises(InputError, match=says) as error:
        parse_structure(structure, (28, 28, 1))
    assert "\n" not in str(error.value)
