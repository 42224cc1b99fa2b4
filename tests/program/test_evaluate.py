"""Expressions with values: results, gradients, dtypes of names, errors of operations in the author's words."""

import ast

import numpy as np
import pytest

from explain.errors import CannotDerive, ExplainError, InputError, OperationError, Stopped
from explain.program.evaluate import Traced, evaluate
from explain.program.expression import parse
from explain.program.values import parse_given, parse_value


def run(text: str, *given: str, wrt: list[str] | None = None) -> Traced:
    return evaluate(parse(text), dict(parse_given(value) for value in given), wrt=wrt)


RESULTS = [  # text, values, result, {name: gradient}
    ("2*dot(x, x)", ["x=[0,1,2,3]"], 28, {"x": [0, 4, 8, 12]}),
    ("mean(3*(x+2)**2)", ["x=ones(2,2)"], 27, {"x": [[4.5, 4.5], [4.5, 4.5]]}),
    ("sum((A@x - b)**2)", ["A=[[1,2],[3,4],[5,6]]", "x=[1,-1]", "b=[1,0,2]"], 14,
     {"A": [[-4, 4], [-2, 2], [-6, 6]], "x": [-40, -52], "b": [4, 2, 6]}),
    ("x**3", ["x=2"], 8, {"x": 12}),
    ("x", ["x=2"], 2, {"x": 1}),
    ("+x - -x", ["x=2"], 4, {"x": 2}),
    ("x*2**3/4", ["x=2"], 4, {"x": 2}),
    ("x*sqrt(4)*exp(0)", ["x=2"], 4, {"x": 2}),
    ("x*pi/pi", ["x=2"], 2, {"x": 1}),
    ("x*pi", ["x=2", "pi=3"], 6, {"x": 3, "pi": 2}),
    ("maximum(x, 0)", ["x=-2"], 0, {"x": 0}),
    ("sum(x[i])", ["x=[1,2,3]", "i=[0,2,2]"], 7, {"x": [1, 0, 2]}),
    ("sum(x[i]*i)", ["x=[1,2,3]", "i=[0,2,2]"], 12, {"x": [0, 0, 4]}),
    ("x[i+1]", ["x=[1,2,3]", "i=1"], 3, {"x": [0, 0, 1]}),
    ("sum(x[i:])", ["x=[1,2,3]", "i=1"], 5, {"x": [0, 1, 1]}),
    ("x[j[i]]", ["x=[1,2,3]", "j=[2,1]", "i=0"], 3, {"x": [0, 0, 1]}),
    ("sum(x[[0, 0]]) + sum(x[...] * 0)", ["x=[1,2]"], 2, {"x": [2, 0]}),
    ("sum(x[[True, False]])", ["x=[1,2]"], 1, {"x": [1, 0]}),
    ("sum(x[m])", ["x=[1,2]", "m=[False,True]"], 2, {"x": [0, 1]}),
    ("sum(x[x > 1])", ["x=[1,2]"], 2, {"x": [0, 1]}),
    ("sum(x[(x > 1) & (x < 3)])", ["x=[1,2,3]"], 2, {"x": [0, 1, 0]}),
    ("sum(where(c, x, 0))", ["x=[1,2]", "c=[True,False]"], 1, {"x": [1, 0]}),
    ("cross_entropy(x, y, reduction='sum')", ["x=[[0,0]]", "y=[1]"], np.log(2), {"x": [[0.5, -0.5]]}),
    ("F.cross_entropy(x, target=y)", ["x=[[0,0]]", "y=[1]"], np.log(2), {"x": [[0.5, -0.5]]}),
    ("sum(max(x, 0)[0])", ["x=[[1,5],[3,2]]"], 8, {"x": [[0, 1], [1, 0]]}),
    ("sum(max(x, dim=0).values)", ["x=[[1,5],[3,2]]"], 8, {"x": [[0, 1], [1, 0]]}),
    ("sum(x * max(x, 0).indices[0])", ["x=[[1,5],[3,2]]"], 11, {"x": [[1, 1], [1, 1]]}),
    ("sum(x.sum(dim=d)**2)", ["x=[[1,2],[3,4]]", "d=1"], 58, {"x": [[6, 6], [14, 14]]}),
    ("norm(x, p)", ["x=[3,-4]", "p=1"], 7, {"x": [1, -1]}),
    ("sum(x.reshape(n, -1).T @ y)", ["x=arange(6)", "y=[1,1,0]", "n=3"], 6, {"x": [1, 1, 1, 1, 0, 0], "y": [1, 5, 9]}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "given", "result", "gradients"), RESULTS, ids=[row[0] for row in RESULTS])
def test_result_and_gradients(text, given, result, gradients):
    traced = run(text, *given)
    np.testing.assert_allclose(traced.output.array, result, rtol=1e-6)
    traced.backward()
    assert set(traced.wrt) == set(gradients)
    for name, expected in gradients.items():
        np.testing.assert_allclose(traced.inputs[name].grad.array, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "given", "dtypes"),
    [
        ("x*2", ["x=[1,2]"], {"x": "float32"}),
        ("x*2", ["x=int([1,2])"], {"x": "int64"}),
        ("x*2", ["x=double([1,2])"], {"x": "float64"}),
        ("x[i]", ["x=[1,2]", "i=[0]"], {"x": "float32", "i": "int64"}),
        ("x[i, None, j]", ["x=[[1,2]]", "i=0", "j=[1]"], {"x": "float32", "i": "int64", "j": "int64"}),
        ("where(c, x, c)", ["x=1", "c=True"], {"x": "float32", "c": "bool"}),
        ("masked_select(x, mask=m)", ["x=[1]", "m=[True]"], {"x": "float32", "m": "bool"}),
        ("x.masked_select(m)", ["x=[1]", "m=[True]"], {"x": "float32", "m": "bool"}),
        ("dropout(x, p)", ["x=[1]", "p=0"], {"x": "float32", "p": "int64"}),
        ("argmax(x[y > 0])", ["x=[1]", "y=[1]"], {"x": "float32", "y": "float32"}),
    ],
)
def test_which_names_stay_integers(text, given, dtypes):
    traced = run(text, *given)
    assert {name: tensor.dtype.name for name, tensor in traced.inputs.items()} == dtypes


def test_wrt_chooses():
    given = ["A=[[1,2]]", "x=[1,-1]"]
    assert run("sum(A@x)", *given).wrt == ("A", "x")
    traced = run("sum(A@x)", *given, wrt=["x", "x"])
    traced.backward()
    assert traced.wrt == ("x",)
    assert traced.inputs["A"].grad is None and not traced.inputs["A"].requires_grad


@pytest.mark.parametrize(
    ("text", "differentiated"),
    [
        ("cross_entropy(X, t, w)", ("X",)),
        ("cross_entropy(X, t, weight=2*w)", ("X",)),
        ("soft_margin_loss(X, w)", ("X",)),
        ("sum(X * w)", ("X", "w")),
    ],
)
def test_what_torch_takes_no_derivative_by_is_left_out(text, differentiated):
    given = {"X": "X=[[1.0, 2.0], [0.5, 1.0]]", "t": "t=[0, 1]", "w": "w=[0.5, 2.0]"}
    assert run(text, *(given[name] for name in parse(text).names)).wrt == differentiated


def test_what_is_recorded():
    traced = run("sum((A@x - b)**2)", "A=[[1,2],[3,4]]", "x=[1,-1]", "b=[1,0]")
    traced.backward()
    tape, _, _ = traced.frozen()
    assert [step.op.name for step in tape.applied] == ["matmul", "sub", "pow", "sum"]
    words = [step.place.text[step.place.start : step.place.end] for step in tape.applied]
    assert words == ["A@x", "A@x - b", "(A@x - b)**2", "sum((A@x - b)**2)"]
    named = {value.name: value for value in tape.values if value.name}
    assert set(named) == {"A", "x", "b"}
    assert named["b"].place.start == 11 and named["b"].requires_grad
    assert len(tape.backwards) == 1 and len(tape.backwards[0].sent) == 6


def test_backward_from_a_vector_needs_v():
    traced = run("x*2", "x=ones(3)")
    with pytest.raises(OperationError) as caught:
        traced.backward()
    assert caught.value.message == "grad can be implicitly created only for scalar outputs"
    with pytest.raises(OperationError, match="Mismatch in shape") as caught:
        traced.backward(parse_value("[1, 2]"))
    assert caught.value.hint == "The result is a vector of 3, v is a vector of 2"
    traced.backward(parse_value("[0.1, 1, 10]"))
    np.testing.assert_allclose(traced.inputs["x"].grad.array, [0.2, 2, 20], rtol=1e-6)


@pytest.mark.parametrize("text", ["argmax(x)", "x > 1", "x[0] == x"])
def test_a_result_without_derivative(text):
    traced = run(text, "x=[3,1]")
    assert not traced.output.requires_grad
    with pytest.raises(CannotDerive):
        traced.backward()


def test_random_masks_repeat():
    first, second = (run("dropout(x, 0.5)", "x=ones(20)").output.array for _ in range(2))
    np.testing.assert_array_equal(first, second)


REFUSED = [  # text, values, what stands over the caret, class, message, hint (a part of it)
    ("sum(max(0, 1 - x))", ["x=[1,2]"], "max(0, 1 - x)", OperationError,
     "max(): argument 'input' (position 1) must be Tensor, not int", "maximum(x, y)"),
    ("e**x", ["x=1"], "e", InputError, "no value for 'e'", "exp(x)"),
    ("A + b", ["A=ones(3,2)", "b=[1,2,3]"], "A + b", OperationError,
     "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 1",
     "A is 3×2, b is a vector of 3"),
    ("1 + (A + b)", ["A=ones(3,2)", "b=[1,2,3]"], "A + b", OperationError, "The size of tensor a (2)", "one of them 1"),
    ("θ + sum(A @ x)", ["A=ones(3,2)", "x=[1,2,3]", "θ=1"], "A @ x", OperationError,
     "size mismatch, got input (3), mat (3x2), vec (3)", "A.T @ x would fit"),
    ("(A + 1) @ B", ["A=ones(3,2)", "B=ones(3,4)"], "(A + 1) @ B", OperationError,
     "mat1 and mat2 shapes cannot be multiplied (3x2 and 3x4)", "(A + 1).T @ B would fit"),
    ("A @ B", ["A=ones(3,2)", "B=ones(4,2)"], "A @ B", OperationError, "mat1 and mat2", "A @ B.T would fit"),
    ("x @ A", ["A=ones(3,2)", "x=ones(2)"], "x @ A", OperationError, "mat1 and mat2", "x @ A.T would fit"),
    ("x @ x", ["x=1"], "x @ x", OperationError, "both arguments to matmul need to be at least 1D",
     "x is a single number"),
    ("A @ B", ["A=double(ones(2,2))", "B=ones(2,2)"], "A @ B", OperationError,
     "expected m1 and m2 to have the same dtype, but got: double != float", "A is float64, B is float32"),
    ("dot(a, b)", ["a=[1,2]", "b=[1,2,3]"], "dot(a, b)", OperationError, "inconsistent tensor size",
     "a is a vector of 2, b is a vector of 3"),
    ("dot(a, 2)", ["a=[1,2]"], "dot(a, 2)", OperationError,
     "dot(): argument 'other' (position 2) must be Tensor, not int", ""),
    ("sum(2) + x", ["x=1"], "sum(2)", OperationError, "sum(): argument 'input' (position 1) must be Tensor, not int",
     ""),
    ("sum([1, 2]) + x", ["x=1"], "sum([1, 2])", OperationError, "sum(): argument 'input' (position 1)",
     "Give the list a name"),
    ("x + [1, 2]", ["x=1"], "x + [1, 2]", OperationError,
     "unsupported operand type(s) for +: 'Tensor' and 'list'", "Give the list a name"),
    ("x + 'a'", ["x=1"], "x + 'a'", OperationError, "unsupported operand type(s) for +: 'Tensor' and 'str'", ""),
    ("x @ 2", ["x=[1]"], "x @ 2", OperationError, "unsupported operand type(s) for @: 'Tensor' and 'int'", ""),
    ("-[1] + x", ["x=[1]"], "-[1]", OperationError, "bad operand type for unary -: 'list'", ""),
    ("2 @ 3 + x", ["x=[1]"], "2 @ 3", OperationError, "unsupported operand type(s) for @: 'int' and 'int'", "*"),
    ("x & (x > 1)", ["x=[1]"], "x & (x > 1)", OperationError, "& joins two conditions", "(x > 0) & (x < 1)"),
    ("x[5]", ["x=[1,2]"], "x[5]", OperationError, "index 5 is out of bounds for dimension 0 with size 2",
     "x is a vector of 2"),
    ("x[0, 0]", ["x=[1,2]"], "x[0, 0]", OperationError, "too many indices for tensor of dimension 1", ""),
    ("x[0]", ["x=1"], "x[0]", OperationError, "invalid index of a 0-dim tensor.", ""),
    ("x[1.5]", ["x=[1,2]"], "x[1.5]", OperationError, "only integers, slices (`:`), ellipsis (`...`)", ""),
    ("x['a']", ["x=[1,2]"], "x['a']", OperationError, "only integers, slices (`:`), ellipsis (`...`)", ""),
    ("x[True]", ["x=[1,2]"], "x[True]", OperationError, "True and False are read as an index only in lists", ""),
    ("x[::-1]", ["x=[1,2]"], "x[::-1]", OperationError, "step must be greater than zero", ""),
    ("x[:0.5]", ["x=[1,2]"], "x[:0.5]", OperationError, "slice indices must be integers", ""),
    ("x[i]", ["x=[1,2]", "i=[0.5]"], "x[i]", OperationError, "tensors used as indices must be long", ""),
    ("x[[0.5]]", ["x=[1,2]"], "x[[0.5]]", OperationError, "tensors used as indices must be long", ""),
    ("x[m]", ["x=[1,2]", "m=[True]"], "x[m]", OperationError, "The shape of the mask [1] at index 0 does not match",
     ""),
    ("[1, 2][0] + x", ["x=1"], "[1, 2]", OperationError, "'list' has no entries here", "Give a list a name"),
    ("sort(x)[2]", ["x=[1]"], "2", OperationError, "a result is taken by its number", "There are 2"),
    ("sort(x) + 1", ["x=[1]"], "sort(x) + 1", OperationError, "unsupported operand type(s) for +: 'tuple' and 'int'",
     ""),
    ("sort(x).T", ["x=[1]"], "sort(x).T", OperationError, "'tuple' object has no attribute 'T'", "[0]"),
    ("x.values", ["x=[1]"], "x.values", OperationError, "'Tensor' object has no attribute 'values'", ""),
    ("(2).sum() + x", ["x=[1]"], "(2).sum", OperationError, "'int' object has no attribute 'sum'", ""),
    ("sum(x, dim=5)", ["x=ones(2,2)"], "sum(x, dim=5)", OperationError,
     "Dimension out of range (expected to be in range of [-2, 1], but got 5)", "x is 2×2"),
    ("sum(x, dims=0)", ["x=[1]"], "dims=0", InputError, "sum() has no option 'dims'", "did you mean 'dim'?"),
    ("sum(x, dim='a')", ["x=[1]"], "sum(x, dim='a')", InputError, "sum() does not take these arguments",
     "sum(x, dim=None"),
    ("softmax(x)", ["x=[1]"], "softmax(x)", InputError, "softmax() does not take these arguments", "softmax(x, dim)"),
    ("x.softmax()", ["x=[1]"], "x.softmax()", InputError, "softmax() does not take these arguments", "x.softmax(dim)"),
    ("sum()", [], "sum()", InputError, "sum() needs an argument", "sum(x)"),
    ("x.reshape(4)", ["x=ones(2,3)"], "x.reshape(4)", OperationError, "shape '[4]' is invalid for input of size 6",
     "x is 2×3"),
    ("inv(A)", ["A=[[1,2],[2,4]]"], "inv(A)", OperationError, "linalg.inv: The diagonal element 2 is zero", ""),
    ("cross_entropy(x, y)", ["x=ones(2,2)", "y=[0,5]"], "cross_entropy(x, y)", OperationError,
     "Target 5 is out of bounds.", ""),
    ("cross_entropy(x, y)", ["x=ones(2,2)", "y=[0.,1]"], "cross_entropy(x, y)", OperationError,
     "expected target dtype to be Long or Byte, but got Float", "int([0, 2])"),
    ("where(c, x, 0)", ["x=[1]", "c=[1]"], "where(c, x, 0)", OperationError,
     "where expected condition to be a boolean", "x > 0"),
    ("dropout(x, 1.5)", ["x=[1]"], "dropout(x, 1.5)", OperationError,
     "dropout probability has to be between 0 and 1", ""),
    ("norm(x, 2*sigmoid(p))", ["x=[1]", "p=1."], "2*sigmoid(p)", OperationError,
     "an option of norm is a plain number", ""),
    ("x + 1/0", ["x=1"], "1/0", OperationError, "division by zero", ""),
    ("x + (-8)**(1/3)", ["x=1"], "(-8)**(1/3)", OperationError, "a negative number has no real power", ""),
    ("x + 9**9**9", ["x=1"], "9**9**9", OperationError, "9**387420489 is too large", ""),
    ("x + 2**64", ["x=1"], "2**64", OperationError, "this whole number is too large for 64 bits", "2.0**70"),
    ("x + 10.0**400", ["x=1"], "10.0**400", OperationError, "the result is too large", ""),
    ("x * y", ["x=ones(10000,1)", "y=ones(10000)"], "x * y", Stopped,
     "the result would have 100,000,000 entries; the limit is 50,000,000", "x is 10000×1"),
    ("x @ y", ["x=ones(10000,1)", "y=ones(1,10000)"], "x @ y", Stopped, "the result would have 100,000,000 entries",
     ""),
    ("2**3", [], "2**3", InputError, "the result is the number 8: there is nothing to differentiate", "x**2"),
    ("(x, x)", ["x=1"], "(x, x)", InputError, "the result is a tuple, not a tensor", ""),
    ("sort(x)", ["x=[1]"], "sort(x)", InputError, "the result is 2 tensors, not one", ".values"),
    ("x + y", ["x=1"], "y", InputError, "no value for 'y'", '--at "y=…"'),
    ("θ + y*y", ["θ=1"], "y", InputError, "no value for 'y'", '--at "y=…"'),
    ("x + y", [], "x", InputError, "no values for 'x' and 'y'", '--at "x=…" --at "y=…"'),
    ("x + y", ["x=1", "Y=2"], "y", InputError, "no value for 'y'", "'Y'"),
    ("sin + 1", [], "sin", InputError, "no value for 'sin'", "sin(…)"),
    ("loss*2", ["loss=1", "los=1"], "loss*2", InputError, "'los' has a value, but is not in the expression", "'loss'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "given", "marked", "kind", "message", "hint"),
    REFUSED,
    ids=[f"{row[0]}; {' '.join(row[1])}" for row in REFUSED],
)
def test_is_refused_in_the_authors_words(text, given, marked, kind, message, hint):
    with pytest.raises(ExplainError) as caught:
        run(text, *given)
    error = caught.value
    assert type(error) is kind
    assert error.message.startswith(message)
    assert hint in (error.hint or "")
    assert text[error.place.start : error.place.end] == marked


@pytest.mark.parametrize(
    ("text", "wrt", "message", "hint"),
    [
        ("sum(weights)", ["weight"], "wrt: 'weight' is not in the expression", "did you mean 'weights'?"),
        ("weights[i]", ["i"], "wrt: 'i' cannot be differentiated: it is an index", "weights"),
        ("norm(weights, i)", ["i"], "wrt: 'i' cannot be differentiated: it is an option of norm", "weights"),
        ("sum(weights*k)", ["k"], "wrt: 'k' cannot be differentiated: its entries are int64", "weights"),
    ],
)
def test_what_cannot_be_differentiated(text, wrt, message, hint):
    values = dict(map(parse_given, ["weights=[1,2]", "i=1", "k=int(2)"]))
    expression = parse(text)
    with pytest.raises(InputError) as caught:
        evaluate(expression, {name: values[name] for name in expression.names}, wrt=wrt)
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_a_shape_error_as_printed():
    with pytest.raises(OperationError) as caught:
        run("sum((A@x - b)**2)", "A=ones(3,2)", "x=[1,2,3]", "b=[1,0,2]")
    assert str(caught.value) == (
        "expression: size mismatch, got input (3), mat (3x2), vec (3)\n"
        "  sum((A@x - b)**2)\n"
        "       ^^^\n"
        "A is 3×2, x is a vector of 3\n"
        "The columns of the left operand (2) must be as many as the entries of the right one (3); A.T @ x would fit"
    )


def test_deep_nesting_runs():
    text = "x"
    for _ in range(140):
        text = f"-({text})"
    assert run(text, "x=1").output.item() == 1
    assert run("sum(" * 70 + "x" + ")" * 70, "x=1").output.item() == 1


def test_every_op_application_has_its_place():
    traced = run("sum(max(A.T[i], 0).values * 2 > x) + x[0]", "A=ones(2,3)", "i=[0,1]", "x=[1,1]")
    tree = {traced.expression.place(node) for node in ast.walk(traced.expression.tree) if isinstance(node, ast.expr)}
    assert all(step.place in tree for step in traced.frozen()[0].applied)
