"""What a recorder keeps: values as they were, edges that add up, names and places that stay, and no more than is needed."""

import gc
import weakref

import numpy as np
import pytest

from explain.errors import Place
from explain.tape import grad, no_grad, record, tensor
from explain.tape.record import freeze


def test_every_application_and_edge_is_kept():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        recorder.name(x, "x")
        y = (x * x + x).sum()
        y.backward()
    frozen = freeze([], recorder.walks)
    tape = frozen.tape
    assert [a.op.name for a in tape.applied] == ["mul", "add", "sum"]
    assert [a.grad_fn for a in tape.applied] == ["MulBackward0", "AddBackward0", "SumBackward0"]
    assert [value.id for value in tape.values] == list(range(len(tape.values)))
    start = frozen.ids[recorder.trace(x)]
    assert tape.values[start].name == "x"
    assert tape.values[start].is_leaf
    (walk,) = tape.backwards
    assert walk.output == frozen.ids[recorder.trace(y)]
    to_x = [s.cotangent for s in walk.sent if tape.applied[s.applied].inputs[s.input] == start]
    assert [c.tolist() for c in to_x] == [[1, 1], [1, 2], [1, 2]]
    assert np.array_equal(sum(to_x), walk.arrived[start])
    assert np.array_equal(walk.gradients[start], x.grad.array)


def test_gradients_are_this_walks_own_not_the_sum_in_grad():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        for _ in range(2):
            (x * 3).sum().backward()
    trace = recorder.trace(x)
    assert x.grad.tolist() == [6, 6]
    assert [w.gradients[trace].tolist() for w in recorder.walks] == [[3, 3], [3, 3]]
    assert recorder.walks[0].before[trace] is None
    assert recorder.walks[1].before[trace].tolist() == [3, 3]


def test_numbers_are_kept_as_written():
    with record() as recorder:
        y = tensor([1.0]) * 0.1
    tape = freeze([recorder.trace(y)]).tape
    assert [tape.values[k].number for k in tape.applied[0].inputs] == [None, 0.1]


def test_places_are_those_of_the_moment():
    places = [Place("x*2 + 1", 0, 3), Place("x*2 + 1", 0, 7)]
    with record() as recorder:
        x = tensor([1.0])
        recorder.place = places[0]
        y = x * 2
        recorder.place = places[1]
        z = y + 1
    assert [a.place for a in freeze([recorder.trace(z)]).tape.applied] == places


def test_values_stay_as_they_were_when_memory_is_written():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        recorder.name(y, "y")
        before = recorder.trace(y)
        view = y[0]
        old_view = recorder.trace(view)
        y += 1
        after = recorder.trace(y)
        new_view = recorder.trace(view)
        (view * 1).backward()
    assert before.array.tolist() == [2, 4]
    assert after.array.tolist() == [3, 5]
    assert after.names == ["y"]
    assert after.grad_fn == "AddBackward0"
    assert (old_view.array.item(), new_view.array.item()) == (2, 3)
    assert new_view.grad_fn == "AsStridedBackward0"
    assert recorder.walks[0].gradients[recorder.trace(x)].tolist() == [2, 0]


def test_an_optimizer_step_makes_a_new_leaf_without_history():
    with record() as recorder:
        w = tensor([1.0, 2.0], requires_grad=True)
        recorder.name(w, "w")
        first = recorder.trace(w)
        for _ in range(2):
            w.grad = None
            (w * w).sum().backward()
            with no_grad():
                w -= 0.25 * w.grad
    assert first.array.tolist() == [1, 2]
    last = recorder.trace(w)
    assert (last.is_leaf, last.requires_grad, last.names, last.array.tolist()) == (True, True, ["w"], [0.25, 0.5])
    assert last.source is None
    assert [next(iter(w.gradients.values())).tolist() for w in recorder.walks] == [[2, 4], [1, 2]]


def test_writing_through_a_view_tells_the_root():
    with record() as recorder:
        y = tensor([1.0, 2.0], requires_grad=True) * 1
        y[0] = 5
        z = (y * y).sum()
        z.backward()
    tape = freeze([], recorder.walks).tape
    assert [a.op.name for a in tape.applied][-3:] == ["written", "mul", "sum"]
    assert tape.values[tape.applied[-2].inputs[0]].array.tolist() == [5, 2]


def test_what_was_made_without_gradients_has_no_history():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        recorder.name(x, "x")
        with no_grad():
            y = x * 2
        z = x.detach()
    assert recorder.trace(y).source is None
    assert (recorder.trace(z).source, recorder.trace(z).origin) == (None, "x")


def test_history_dies_with_the_tensors():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        trace = weakref.ref(recorder.trace(y))
        z = (y * y).sum()
        del y
        assert trace() is not None
        del z
        gc.collect()
        assert trace() is None


def test_a_differentiable_gradient_knows_what_it_is_the_derivative_of():
    with record() as recorder:
        x = tensor(2.0, requires_grad=True)
        y = x * x * x
        (g,) = grad(y, x, create_graph=True)
        g.backward()
    frozen = freeze([], recorder.walks[1:])
    value = frozen.tape.values[frozen.ids[recorder.trace(g)]]
    assert value.derivative == (frozen.ids[recorder.trace(y)], frozen.ids[recorder.trace(x)])
    assert {a.walk for a in frozen.tape.applied} == {None, 0}


@pytest.mark.parametrize("fails", [False, True])
def test_recording_ends_with_its_block(fails):
    try:
        with record() as recorder:
            y = tensor([1.0]) + 1
            if fails:
                raise ValueError("stop")
    except ValueError:
        assert fails
    z = y + 1
    assert not hasattr(z, "record")
    assert len(freeze([recorder.trace(y)]).tape.applied) == 1
