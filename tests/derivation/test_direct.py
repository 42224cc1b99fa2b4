"""``explain.derive`` and ``explain.record`` on computations of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import explain
import explain.torch as torch
from explain import CannotDerive, Derivation, InputError


def statuses(d: Derivation) -> set[str]:
    return {c.status for g in d.gradients for c in g.checks} | {c.status for s in d.steps for c in s.checks}


def test_names_are_the_callers_variables() -> None:
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = (weight**2).sum()
    d = explain.derive(loss)
    assert (d.output, [g.wrt for g in d.gradients], d.kind) == ("loss", ["weight"], "derive")
    np.testing.assert_allclose(d.gradients[0].value, [2.0, 4.0])
    assert statuses(d) == {"ok"}
    assert weight.grad is None, "no .grad is touched"
    loss.backward()  # the graph is still there
    assert weight.grad.tolist() == [2.0, 4.0]


def test_names_that_are_given() -> None:
    a = torch.tensor(3.0, requires_grad=True)
    d = explain.derive(a * a, names={"θ": a})
    assert [g.wrt for g in d.gradients] == ["θ"]


def test_wrt_chooses_computed_tensors_too() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    h = x * 3
    d = explain.derive((h**2).sum(), wrt=[h])
    (g,) = d.gradients
    assert (g.wrt, g.value.tolist()) == ("h", [6.0, 12.0])


def test_a_vector_needs_a_cotangent_or_shows_its_jacobian() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * x.sum()
    whole = explain.derive(y)
    assert whole.mode == "jacobian"
    np.testing.assert_allclose(whole.gradients[0].jacobian, [[4.0, 1.0], [2.0, 5.0]])
    along = explain.derive(y, v=[1.0, 1.0])
    assert along.mode == "vjp"
    np.testing.assert_allclose(along.gradients[0].value, [6.0, 6.0])
    assert statuses(whole) == statuses(along) == {"ok"}


def test_a_module_of_ones_own() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    x = torch.tensor([[0.5, -1.0]])
    d = explain.derive(net(x).sum())
    assert [g.wrt for g in d.gradients] == ["net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias"]
    assert statuses(d) == {"ok"}


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda x: 3, "takes a tensor"),
        (lambda x: x.detach(), "does not require a gradient"),
        (lambda x: explain.derive(x * 2, v=[1.0, 2.0, 3.0]), "v"),
        (lambda x: explain.derive((x * 2).sum(), wrt=[torch.ones(2)]), "wrt"),
    ],
)
def test_what_cannot_be_asked(make: object, part: str) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(InputError) as caught:
        explain.derive(make(x))  # type: ignore[operator]
    assert part in str(caught.value)


def test_values_that_are_lost_are_said_to_be() -> None:
    """Without a record, what was overwritten is gone."""
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp() + 1
    with torch.no_grad():
        x.mul_(2)
    with pytest.raises(CannotDerive):
        explain.derive(y.sum())


def test_a_record_keeps_every_value_and_line() -> None:
    with explain.record():
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        y = (x * x).sum()
        with torch.no_grad():
            x.mul_(2)
    d = explain.derive(y, v=None)
    (row,) = (r for r in d.rows if r.kind == "leaf")
    assert row.value.tolist() == [1.0, 2.0]
    (step,) = d.steps
    assert step.code == "(x * x).sum()" and step.line is not None


def test_rich_display() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    d = explain.derive(x**3)
    assert "12" in d._repr_markdown_() and "12" in str(d)
