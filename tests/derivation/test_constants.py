"""Tensors that a program made without naming them: the number that they were made of, or a letter to themselves."""

from __future__ import annotations

import pytest

import explain
from explain.calculus.text import formula_text

START = "x = torch.tensor([1., 2.], requires_grad=True)\n"
TABLE = [  # what y is, the formula of one entry, the names of what was given
    ("x * torch.tensor(3.)", "3*x[i]", []),
    ("torch.max(x, torch.zeros(2))", "maximum(x[i], 0)", []),
    ("torch.where(x > 1, x, torch.zeros_like(x))", "Where(x[i] > 1, x[i], 0)", []),
    ("x + torch.ones(3, 2)", "x[j] + 1", []),
    ("x * torch.full((2,), 0.1)", "1/10*x[i]", []),
    ("x * torch.tensor([3., 4.])", "x[i]*c[i]", ["c"]),
    ("torch.ones(2, 2) @ x + torch.tensor([1., 2.])", "Sum(x[j], (j, 0, 1)) + c[i]", ["c"]),
    ("torch.diag(x) - torch.eye(2)", "Indicator(j == i)*x[i] - Indicator(i == j)", []),
    ("torch.eye(2) @ x", "Sum(Indicator(i == j)*x[j], (j, 0, 1))", []),
    ("torch.full((2, 2), 3.) @ x", "Sum(3*x[j], (j, 0, 1))", []),
    ("torch.linalg.solve(torch.eye(2), x)", "Sum(inv(c[k, l], (k, 0, 1), (l, 0, 1), at=(i, j))*x[j], (j, 0, 1))", ["c"]),
    ("x * (torch.zeros(2) + 4)", "4*x[i]", []),  # computed, of numbers alone
]


@pytest.mark.parametrize(("code", "formula", "given"), TABLE, ids=[row[0] for row in TABLE])
def test_what_nameless_constants_are_called(code: str, formula: str, given: list[str]) -> None:
    d = explain.run(f"{START}y = {code}\n(y * y).sum().backward()").derivation
    rows = {r.name: r for r in d.rows}
    found = rows["y"].formula
    assert found is not None and formula_text(found.e) == formula
    assert [r.name for r in d.rows if r.kind == "given"] == given
    assert d.ok


def test_an_identity_matrix_without_a_name_is_the_identity_in_every_form() -> None:
    start = "W = torch.tensor([[1., 2.], [3., 4.]], requires_grad=True)\n"
    d = explain.run(f"{start}y = W @ torch.eye(2) - torch.eye(2)\n(y * y).sum().backward()").derivation
    closed = d.gradients[0].closed_form
    assert closed is not None and closed.index is not None and d.ok
    assert formula_text(closed.index.e) == "2*(-Indicator(i == j) + W[i, j])"
    assert str(closed.matrix) == "2*(W - eye(2))"


def test_a_named_constant_and_one_that_is_written_to_keep_their_names() -> None:
    d = explain.run(
        f"{START}one = torch.ones(2)\nw = [torch.zeros(2)]\nw[0][1] = 5.\n(x * one + w[0]).sum().backward()"
    ).derivation
    assert "one" in {r.name for r in d.rows} and d.ok
    assert {tuple(r.value) for r in d.rows if r.kind == "given"} == {(1.0, 1.0), (0.0, 5.0)}


def test_a_number_that_its_dtype_rounds_is_an_array_where_more_digits_count() -> None:
    d = explain.run(
        "x = torch.tensor([1.], dtype=torch.float64, requires_grad=True)\n(x * torch.tensor(0.1)).sum().backward()"
    )
    assert d.ok and [float(r.value) for r in d.derivation.rows if r.kind == "given"] == [0.10000000149011612]


def test_the_letter_of_constants_is_nobodys_own() -> None:
    d = explain.run(
        "c = torch.tensor([1., 2.], requires_grad=True)\n(c * torch.tensor([3., 4.])).sum().backward()"
    ).derivation
    assert [r.name for r in d.rows if r.kind == "given"] == ["k"]
