"""The walk itself: order, depth, freeing, threads."""

import gc
import threading
import weakref

import numpy as np
import pytest

from explain.ops.registry import REGISTRY
from explain.tape import enable_grad, grad, is_grad_enabled, no_grad, record, tensor
from explain.tape.apply import apply
from explain.tape.tensor import leaf

DEEP = 200_000  # a recursive walk, or a recursive freeing, ends far below


def test_a_deep_chain_neither_recurses_forward_backward_nor_when_freed():
    x = tensor(1.0, requires_grad=True)
    y = x
    for _ in range(DEEP):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1
    del y  # the whole graph goes at once


def test_a_deep_chain_of_views_is_freed_without_recursion():
    y = tensor([1.0], requires_grad=True) * 1
    for _ in range(DEEP // 4):
        y = y.reshape(1)
    assert y._base is not None
    del y


def test_grad_finds_its_way_through_a_deep_graph():
    x = tensor(1.0, requires_grad=True)
    y = x
    for _ in range(DEEP // 4):
        y = y + x
    (g,) = grad(y, x)
    assert g.item() == DEEP // 4 + 1


def test_nodes_run_in_pytorchs_order():
    # a = x*2; b = w*3; c = a*b; d = exp(b); e = c + d: the latest node that is ready goes first, w is ready before a
    with record() as recorder:
        x, w = tensor(1.0, requires_grad=True), tensor(2.0, requires_grad=True)
        a, b = x * 2, w * 3
        (a * b + b.exp()).backward()
    (walk,) = recorder.walks
    assert [call.op.name for call, _, _ in walk.sent] == ["add", "add", "exp", "mul", "mul", "mul", "mul"]
    assert [call.inputs[k] for call, k, _ in walk.sent][-2:] == [recorder.trace(w), recorder.trace(x)]


def test_a_rule_runs_once_with_the_total():
    calls = []
    op = REGISTRY["mul"]

    class Counting:
        def __getattr__(self, name):
            return getattr(op, name)

        def vjp(self, xp, needs, g, y, a, b):
            calls.append(float(g))
            return op.vjp(xp, needs, g, y, a, b)

    x = tensor(3.0, requires_grad=True)
    u = apply(Counting(), (x, tensor(2.0)))
    ((u + u) * u).backward()
    assert calls == [24.0]
    assert x.grad.item() == 48


def test_nothing_waits_for_the_garbage_collector():
    gc.disable()
    try:
        while gc.collect():  # what other tests left; finalizers may leave more
            pass
        x = tensor(np.ones((2, 2)), requires_grad=True)
        y = x * 2
        node = weakref.ref(y.grad_fn)
        leaf = weakref.ref(x)
        z = y[0].exp().sum()
        z.backward()
        del x, y, z
        assert node() is None
        assert leaf() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_saved_values_go_as_backward_goes():
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    z = (y * y).sum()
    alive = weakref.ref(y)
    del y
    assert alive() is not None
    z.backward()
    assert alive() is None


def test_grad_frees_only_what_it_walked():
    x, w = (tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    shared = x * w
    y = (shared * shared).sum() + (w * w).sum()
    grad(y, w, retain_graph=True)
    grad(shared.sum(), x)
    with pytest.raises(RuntimeError, match="second time"):
        grad(shared.sum(), x)
    grad((w * w).sum(), w)


def test_grad_of_a_tensor_by_itself_and_by_results_in_between():
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    weight = tensor([3.0, 5.0])
    (own,) = grad(y, y, weight)
    assert own.tolist() == [3, 5]
    values, _ = x.max(dim=0)
    gx, gv = grad(values * 2, [x, values])
    assert (gx.tolist(), gv.item()) == ([0, 2], 2)
    assert x.grad is None


def test_gradients_of_two_leaves_never_share_memory():
    a, b = (tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    seed = tensor([1.0, 1.0])
    (a + b).backward(seed)
    memories = [a.grad.array, b.grad.array, seed.array]
    assert not any(np.shares_memory(p, q) for k, p in enumerate(memories) for q in memories[:k])


def test_modes_belong_to_their_thread():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
        with enable_grad():
            seen.append(is_grad_enabled())
        seen.append(is_grad_enabled())
    assert [*seen, is_grad_enabled()] == [True, True, False, True]


def test_a_mode_ends_with_its_block_also_after_an_error():
    with pytest.raises(ValueError, match="stop"), no_grad():
        raise ValueError("stop")
    assert is_grad_enabled()

    @no_grad()
    def fails():
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fails()
    assert is_grad_enabled()


def test_a_failed_backward_leaves_the_recorder_usable():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        y = (x * x).sum()
        y.backward()
        with pytest.raises(RuntimeError, match="second time"):
            y.backward()
        (x * 3).sum().backward()
    assert [w.gradients[recorder.trace(x)].tolist() for w in recorder.walks] == [[2, 4], [3, 3]]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_gradients_have_their_leafs_dtype(kind):
    x = leaf(np.ones(2, kind), requires_grad=True)
    (x * tensor([1, 2]) * tensor([0.5, 0.5], dtype="float64")).sum().backward()
    assert x.grad.array.dtype == kind
