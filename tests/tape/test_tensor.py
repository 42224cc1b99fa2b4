"""Tensors beyond what programs.txt compares with torch: memory, views, silence, numpy scalars."""

import subprocess
import sys

import numpy as np
import pytest

from explain.tape import Tensor, no_grad, tensor
from explain.tape.tensor import leaf

SPECIAL = """
from explain.tape import grad, tensor
x = tensor([0.0, -1.0, float("inf"), float("nan"), 1e30], requires_grad=True)
z = tensor(0.0, requires_grad=True)
several = (1 / x, x.log(), x.sqrt(), x.exp(), x ** -0.5, x ** x, x / 0, x.norm(), x.softmax(0), x * x * x, x.prod())
for y in (*several, x.max(), 1 / z, z.log()):
    y.sum().backward(retain_graph=True)
    grad(y.sum(), [x, z], create_graph=True, allow_unused=True)
"""


@pytest.mark.parametrize("record", [False, True])
def test_floating_point_is_silent_like_torchs(record):
    program = SPECIAL
    if record:
        program = "from explain.tape import record\nwith record():\n" + SPECIAL.replace("\n", "\n    ")
    # only warnings that are errors in the user's own code as well would stop this
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_importing_the_tape_leaves_numpys_own_warnings_alone():
    program = "import explain.tape, numpy as np\nnp.log(np.zeros(1))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "RuntimeWarning: divide by zero" in done.stderr


def test_fresh_single_numbers_are_bare_and_become_arrays_when_shared():
    y = tensor([1.0, 2.0]).sum()
    assert isinstance(y.array, np.float32)
    view = y.reshape(1)
    assert isinstance(y.array, np.ndarray)
    view.add_(1)
    assert y.item() == 4


@pytest.mark.parametrize(
    "look",
    [
        lambda t: t[1], lambda t: t[0, 1], lambda t: t[..., 1:], lambda t: t[None], lambda t: t.t(), lambda t: t.T,
        lambda t: t.mT, lambda t: t.view(6), lambda t: t.reshape(3, 2), lambda t: t.flatten(), lambda t: t.permute(1, 0),
        lambda t: t.transpose(0, 1), lambda t: t.unsqueeze(1), lambda t: t.unsqueeze(1).squeeze(), lambda t: t[1:].t()[0],
    ],
)  # fmt: skip
def test_a_write_through_a_view_is_the_same_as_one_to_the_root(look):
    values = np.arange(6.0).reshape(2, 3)
    x = tensor(values, requires_grad=True)
    y = x * 1
    view = look(y)
    view.mul_(10)
    (y * y).sum().backward()
    scale = np.ones((2, 3))
    positions = look(tensor(np.arange(6).reshape(2, 3))).array
    scale.reshape(-1)[positions] = 10
    assert np.array_equal(y.array, values * scale)
    assert np.array_equal(x.grad.array, 2 * values * scale**2)
    assert y._version == view._version == 1


def test_a_view_sees_later_writes_and_their_graph():
    x = tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * 1
    row, column = y[0], y.t()[0]
    y.mul_(x)
    row.add_(1)
    assert (row.tolist(), column.tolist()) == ([2, 5], [2, 9])
    column.sum().backward()
    assert x.grad.tolist() == [[2, 0], [6, 0]]


def test_many_views_of_one_tensor_do_not_pile_up():
    x = tensor(np.zeros(4), requires_grad=True)
    for _ in range(10_000):
        x[0]
    assert len(x.version.views) <= 64


def test_copies_share_nothing():
    x = tensor([[1.0, 2.0], [3.0, 4.0]])
    for copy in (x[[0]], x[x > 0], x.clone(), x.t().reshape(4), x.double(), x + 0, x.sort(0)[0], x.max(0)[0]):
        assert copy._base is None
        assert not np.shares_memory(copy.array, x.array)
    single = tensor(2.0)
    single.reshape(1)
    for copy in (single.max(0)[0], single.sort()[0], single.clone(), single.relu(), single.double()):
        copy.add_(1)
        assert single.item() == 2


def test_numpy_scalars_count_as_numbers():
    x = tensor([1.0, 2.0], requires_grad=True)
    for y in (x * np.float64(2), np.float64(2) * x, x.mul(np.float32(2)), x + np.int64(2) - 2 + x - 0):
        assert y.dtype.name == "float32"
        assert y.tolist() == [2, 4]


def test_numbers_round_once_into_the_tensors_dtype():
    assert (tensor([1.0]) * 0.1).item() == np.float32(0.1)
    assert (tensor([1.0], dtype="float64") * 0.1).item() == 0.1
    zero = tensor(0.0) * -0.0
    assert np.signbit(zero.item())
    assert not np.signbit((tensor(0.0) * 0.0).item())


def test_numpy_shares_memory_without_counting():
    x = tensor([1.0, 2.0])
    x.numpy()[0] = 5
    assert (x.tolist(), x._version) == ([5, 2], 0)


def test_a_parameter_like_subclass_stays_usable():
    class Parameter(Tensor):
        pass

    p = leaf(np.ones(2), True, Parameter)
    (p * 2 + 1 - p).sum().backward()
    with no_grad():
        p -= p.grad
    assert (type(p), p.tolist(), p.grad.tolist()) == (Parameter, [0, 0], [1, 1])
