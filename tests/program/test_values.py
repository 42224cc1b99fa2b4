"""Values: entries, dtypes, and for everything else the message with its place."""

import io
import math

import numpy as np
import pytest

from explain.errors import InputError
from explain.program.values import as_given, parse_given, parse_shape, parse_value

INT, FLOAT, BOOL = np.int64, np.float64, np.bool_

READ = [  # text, entries, dtype, kind
    ("[0, 1, 2, 3]", [0, 1, 2, 3], INT, "number"),
    ("[0, 1.5]", [0, 1.5], FLOAT, "number"),
    ("1, 2", [1, 2], INT, "number"),
    ("-3", -3, INT, "number"),
    ("1/3", 1 / 3, FLOAT, "number"),
    ("-1e-3", -1e-3, FLOAT, "number"),
    ("2**3", 8, INT, "number"),
    ("[pi, -inf, 2*pi]", [math.pi, -math.inf, 2 * math.pi], FLOAT, "number"),
    ("nan", math.nan, FLOAT, "number"),
    ("True", True, BOOL, "bool"),
    ("[True, False]", [True, False], BOOL, "bool"),
    ("[True, 2]", [1, 2], INT, "number"),
    ("[[1, 2], [3, 4]].T", [[1, 3], [2, 4]], INT, "number"),
    ("[]", [], FLOAT, "number"),
    ("[[], []]", np.zeros((2, 0)), FLOAT, "number"),
    ("ones(2, 2)", np.ones((2, 2)), FLOAT, "number"),
    ("zeros((2, 3))", np.zeros((2, 3)), FLOAT, "number"),
    ("ones(())", 1.0, FLOAT, "number"),
    ("ones([2])", [1, 1], FLOAT, "number"),
    ("torch.ones(2)", [1, 1], FLOAT, "number"),
    ("2*ones(3)", [2, 2, 2], FLOAT, "number"),
    ("-ones(2) + [1, 2]", [0, 1], FLOAT, "number"),
    ("[ones(2), zeros(2)]", [[1, 1], [0, 0]], FLOAT, "number"),
    ("arange(4)", [0, 1, 2, 3], INT, "number"),
    ("arange(1, 4)", [1, 2, 3], INT, "number"),
    ("arange(0, 1, 0.25)", [0, 0.25, 0.5, 0.75], FLOAT, "number"),
    ("arange(3, 0, step=-1)", [3, 2, 1], INT, "number"),
    ("arange(6).reshape(2, 3)", [[0, 1, 2], [3, 4, 5]], INT, "number"),
    ("arange(6).view(-1, 2)", [[0, 1], [2, 3], [4, 5]], INT, "number"),
    ("3*arange(3) + 1", [1, 4, 7], INT, "number"),
    ("arange(3)/2", [0, 0.5, 1], FLOAT, "number"),
    ("arange(3)**2", [0, 1, 4], FLOAT, "number"),
    ("linspace(0, 1, 5)", [0, 0.25, 0.5, 0.75, 1], FLOAT, "number"),
    ("linspace(0, 1, steps=2)", [0, 1], FLOAT, "number"),
    ("eye(2)", [[1, 0], [0, 1]], FLOAT, "number"),
    ("eye(2, 3)", np.eye(2, 3), FLOAT, "number"),
    ("full((2, 3), 7)", np.full((2, 3), 7), INT, "number"),
    ("full(2, 0.5)", [0.5, 0.5], FLOAT, "number"),
    ("randint(10, (3,), seed=0)", [4, 9, 3], INT, "number"),
    ("int([0, 2])", [0, 2], INT, "int"),
    ("long([0.5, 2.9])", [0, 2], INT, "int"),
    ("-int([1])", [-1], INT, "int"),
    ("int([1])/2", [0.5], FLOAT, "number"),
    ("double(ones(2))", [1, 1], FLOAT, "float64"),
    ("ones(2).double()*2", [2, 2], FLOAT, "float64"),
    ("float32([1, 2])", [1, 2], FLOAT, "float32"),
    ("bool([0, 2])", [False, True], BOOL, "bool"),
    ("tensor([1, 2], dtype=torch.float64)", [1, 2], FLOAT, "float64"),
    ("zeros(2, dtype=int)", [0, 0], INT, "int"),
]


@pytest.mark.parametrize(("text", "entries", "dtype", "kind"), READ)
def test_is_read(text, entries, dtype, kind):
    given = parse_value(text)
    assert given.array.dtype == dtype
    assert given.kind == kind
    np.testing.assert_array_equal(given.array, np.asarray(entries))
    assert given.array.shape == np.shape(entries)


def test_torchs_random_stream():
    np.testing.assert_allclose(parse_value("randn(3, seed=0)").array, [1.5410, -0.2934, -2.1788], atol=5e-5)
    np.testing.assert_allclose(parse_value("rand(3)").array, [0.4963, 0.7682, 0.0885], atol=5e-5)
    assert not np.array_equal(parse_value("randn(3, seed=1)").array, parse_value("randn(3)").array)


def test_a_name_goes_before_the_equals_sign():
    name, given = parse_given(" θ = [1, 2]")
    assert (name, given.name, given.text, given.source) == ("θ", "θ", "[1, 2]", "--at θ")


def test_entries_of_the_tensor():
    numbers = parse_value("[1, 2]")
    assert numbers.entries(keep=False).dtype == np.float32
    assert numbers.entries(keep=True).dtype == np.int64
    assert parse_value("[1., 2]").entries(keep=True).dtype == np.float32
    assert parse_value("int([1, 2])").entries(keep=False).dtype == np.int64
    assert parse_value("float32([1, 2])").entries(keep=True).dtype == np.float32
    assert parse_value("float64([1, 2])").entries(keep=False).dtype == np.float64
    assert parse_value("[True]").entries(keep=False).dtype == np.bool_


REFUSED = [  # text, what stands over the caret, message
    ("x=[[1, 2], [3]]", "[3]", "expected sequence of length 2 at dim 1 (got 1)"),
    ("x=[[1, 2], 3]", "3", "expected sequence of length 2 at dim 1 (got a number)"),
    ("x=[1, [2]]", "[2]", "expected a number (got a list of 1)"),
    ("x=[[[1], [2]], [[3], [4, 5]]]", "[4, 5]", "expected sequence of length 1 at dim 1 (got 2)"),
    ("x=[[[1, 2]], [[3]]]", "[[3]]", "expected sequence of length 2 at dim 2 (got 1)"),
    ("x=y", "y", "'y' is not a number"),
    ("θ=y", "y", "'y' is not a number"),
    ("x=onse(2)", "onse", "unknown function 'onse' in a value"),
    ("x=ones(2).cuda()", "ones(2).cuda", "unknown method 'cuda' in a value"),
    ("x=ones(1.5)", "ones(1.5)", "a size is a whole number"),
    ("x=ones('a')", "ones('a')", "a size is a whole number"),
    ("x=ones(-1)", "ones(-1)", "Trying to create tensor with negative dimension -1: [-1]"),
    ("x=ones(2, requires_grad=True)", "requires_grad=True", "requires_grad is not part of a value"),
    ("x=eye()", "eye()", "eye() does not take these arguments"),
    ("x=arange(0, 3, -1)", "arange(0, 3, -1)", "upper bound and lower bound inconsistent with step sign"),
    ("x=arange(0, 3, 0)", "arange(0, 3, 0)", "step must be nonzero"),
    ("x=arange(6).reshape(4)", "arange(6).reshape(4)", "shape '[4]' is invalid for input of size 6"),
    ("x=ones(99999, 99999)", "ones(99999, 99999)", "9,999,800,001 entries are too many; the limit is 50,000,000"),
    ("x=arange(1e300)", "arange(1e300)", "these are too many; the limit is 50,000,000 entries"),
    ("x=ones(8000,1)+ones(8000)", "ones(8000,1)+ones(8000)", "64,000,000 entries are too many"),
    ("x=ones(2)+ones(3)", "ones(2)+ones(3)", "the shapes [2] and [3] do not fit together"),
    ("x=9**9**9", "9**9**9", "9**387420489 is too large"),
    ("x=1/0", "1/0", "division by zero"),
    ("x=(-8)**(1/3)", "(-8)**(1/3)", "a negative number has no real power"),
    ("x=int(nan)", "int(nan)", "nan and inf are not whole numbers"),
    ("x='a'", "'a'", "this is not a value"),
    ("x=None", "None", "this is not a value"),
    ("x=2^3", "2^3", "this is not a value"),
    ("x=[1, 2][0]", "[1, 2][0]", "this is not a value"),
    ("x=lambda: 0", "lambda: 0", "this is not a value"),
    ("x=[i for i in x]", "[i for i in x]", "this is not a value"),
    ("x=[1 2]", "2", "between '1' and '2' an operator is missing"),
    ("x=[1, 2", "[", "this '[' is never closed"),
    ("x=（1）", "（", "the character （ is not read"),
    ("x=1; y=2", ";", "one value at a time"),
    ("x=1, y=2", "=", "a value holds no '='"),
    ("x=" + "[" * 60 + "]" * 60, None, "33 axes are too many"),
    ("x=" + "[" * 150 + "1" + "]" * 150, None, "--at x: parentheses, operators or calls are nested more than 100 deep"),
    ("x=" + "1" * 1_000_001, None, "--at x: 1,000,001 characters are too long"),
    ("x=", None, "--at x: there is no value"),
    ("x", "x", "name=value is expected"),
    ("x==3", "==", "a value is given by one ="),
    ("x＝3", "＝", "the character ＝ is not read"),
    ("2x=3", "2x", "'2x' is not a name"),
    ("lambda=3", "lambda", "'lambda' is not a name"),
    ("x[0]=3", "x[0]", "'x[0]' is not a name"),
    ("_x=3", "_x", "'_x': names that begin with an underscore are not read"),
    ("=3", "=", "'' is not a name"),
]


@pytest.mark.parametrize(("text", "marked", "message"), REFUSED, ids=[row[0][:40] for row in REFUSED])
def test_is_refused_with_a_place(text, marked, message):
    with pytest.raises(InputError) as caught:
        parse_given(text)
    error = caught.value
    assert error.message.startswith(message)
    if marked is not None:
        assert text[error.place.start : error.place.end] == marked
        assert error.place.source.startswith("--at")


def test_the_caret_stands_under_the_ragged_row():
    with pytest.raises(InputError) as caught:
        parse_given("x=[[1,2],[3]]")
    assert str(caught.value) == (
        "--at x: expected sequence of length 2 at dim 1 (got 1)\n"
        "  x=[[1,2],[3]]\n"
        "           ^^^\n"
        "The rows have the lengths 2, 1"
    )


def _npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.ones(2))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("array", "dtype", "kind"),
    [
        (np.ones((2, 2)), FLOAT, "float64"), (np.float32([1]), FLOAT, "float32"), (np.array([1, 2]), INT, "number"),
        (np.array([True]), BOOL, "bool"), (np.array(3.0), FLOAT, "float64"), (np.zeros((0, 3)), FLOAT, "float64"),
    ],
)  # fmt: skip
def test_files(tmp_path, monkeypatch, array, dtype, kind):
    monkeypatch.chdir(tmp_path)
    np.save("a b.npy", array)
    for text in ("x=@a b.npy", "x=load('a b.npy')"):
        _, given = parse_given(text)
        assert (given.array.dtype, given.kind) == (dtype, kind)
        np.testing.assert_array_equal(given.array, array)
    assert parse_value("double(load('a b.npy'))").kind == "float64"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file a.npy"), (b"", "a.npy is not an array saved by numpy.save"),
        (b"junk", "a.npy is not an array saved by numpy.save"), (_npz(), "a .npz file holds several arrays"),
        (np.array(["a"]), "a.npy holds <U1, which is not a number type"), (np.array([1j]), "a.npy holds complex128"),
        (np.array([{}], dtype=object), "a.npy is not an array saved by numpy.save"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    if isinstance(content, bytes):
        (tmp_path / "a.npy").write_bytes(content)
    elif content is not None:
        np.save("a.npy", content, allow_pickle=True)
    with pytest.raises(InputError) as caught:
        parse_given("x=@a.npy")
    assert caught.value.message.startswith(message)
    assert caught.value.place.start == 2


def test_a_folder_and_a_cut_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.ones(100))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:200])
    for text in ("x=@.", "x=@a.npy", "x=@", "x=@\0"):
        with pytest.raises(InputError):
            parse_given(text)


def test_values_from_python():
    assert as_given([[1, 2]], "x").entries(keep=False).dtype == np.float32
    assert as_given(np.arange(3)).whole
    assert as_given("2*ones(3)", "x").array.tolist() == [2, 2, 2]
    assert as_given(True).kind == "bool"
    for bad in ([[1], [2, 3]], {}, None, [10**30], object()):
        with pytest.raises(InputError):
            as_given(bad, "x")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("A=m,n", ("A", ("m", "n"))), ("A=", ("A", ())), ("A = (m, 3)", ("A", ("m", 3))), ("A=[m]", ("A", ("m",))),
        ("A=(3,)", ("A", (3,))), ("A=()", ("A", ())),
    ],
)  # fmt: skip
def test_shapes(text, shape):
    assert parse_shape(text) == shape


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("A=0", "0"),
        ("A=m,-1", "-1"),
        ("A=m n", "m n"),
        ("A=m,2.5", "2.5"),
        ("A=m,if", "if"),
        ("A", "A"),
        ("A=m,,n", ","),
    ],
)
def test_shapes_that_are_none(text, marked):
    with pytest.raises(InputError) as caught:
        parse_shape(text)
    assert text[caught.value.place.start : caught.value.place.end] == marked
