"""What a recorder keeps: values as they were, edges that add up, names and places that stay."""

import numpy as np
import pytest

from explain.errors import Place
from explain.tape import no_grad, record, tensor


def test_every_application_and_edge_is_kept():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        recorder.name(x, "x")
        y = (x * x + x).sum()
        y.backward()
    tape = recorder.tape()
    assert [a.op.name for a in tape.applied] == ["mul", "add", "sum"]
    assert [a.grad_fn for a in tape.applied] == ["MulBackward0", "AddBackward0", "SumBackward0"]
    assert [value.id for value in tape.values] == list(range(len(tape.values)))
    start = recorder.value_id(x)
    assert tape.values[start].name == "x"
    assert tape.values[start].is_leaf
    (walk,) = tape.backwards
    assert walk.output == recorder.value_id(y)
    to_x = [s.cotangent for s in walk.sent if tape.applied[s.applied].inputs[s.input] == start]
    assert [c.tolist() for c in to_x] == [[1, 1], [1, 2], [1, 2]]
    assert np.array_equal(sum(to_x), walk.arrived[start])
    assert np.array_equal(walk.gradients[start], x.grad.array)


def test_gradients_are_this_walks_own_not_the_sum_in_grad():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        for _ in range(2):
            (x * 3).sum().backward()
    assert x.grad.tolist() == [6, 6]
    assert [w.gradients[recorder.value_id(x)].tolist() for w in recorder.tape().backwards] == [[3, 3], [3, 3]]


def test_numbers_are_kept_as_written():
    with record() as recorder:
        tensor([1.0]) * 0.1
    tape = recorder.tape()
    assert [tape.values[k].number for k in tape.applied[0].inputs] == [None, 0.1]


def test_places_are_those_of_the_moment():
    places = [Place("x*2 + 1", 0, 3), Place("x*2 + 1", 0, 7)]
    with record() as recorder:
        x = tensor([1.0])
        recorder.place = places[0]
        y = x * 2
        recorder.place = places[1]
        y + 1
    assert [a.place for a in recorder.tape().applied] == places


def test_values_stay_as_they_were_when_memory_is_written():
    with record() as recorder:
        x = tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        recorder.name(y, "y")
        before = recorder.value_id(y)
        view = y[0]
        old_view = recorder.value_id(view)
        y += 1
        after = recorder.value_id(y)
        new_view = recorder.value_id(view)
        (view * 1).backward()
    values = recorder.tape().values
    assert values[before].array.tolist() == [2, 4]
    assert values[after].array.tolist() == [3, 5]
    assert values[after].name == "y"
    assert values[after].grad_fn == "AddBackward0"
    assert (values[old_view].array.item(), values[new_view].array.item()) == (2, 3)
    assert values[new_view].grad_fn == "AsStridedBackward0"
    assert recorder.tape().backwards[0].gradients[recorder.value_id(x)].tolist() == [2, 0]


def test_an_optimizer_step_makes_a_new_leaf_value():
    with record() as recorder:
        w = tensor([1.0, 2.0], requires_grad=True)
        recorder.name(w, "w")
        first = recorder.value_id(w)
        for _ in range(2):
            w.grad = None
            (w * w).sum().backward()
            with no_grad():
                w -= 0.25 * w.grad
    tape = recorder.tape()
    assert recorder.value_id(w) != first
    assert tape.values[first].array.tolist() == [1, 2]
    last = tape.values[recorder.value_id(w)]
    assert (last.is_leaf, last.requires_grad, last.name, last.array.tolist()) == (True, True, "w", [0.25, 0.5])
    assert [next(iter(w.gradients.values())).tolist() for w in tape.backwards] == [[2, 4], [1, 2]]


def test_writing_through_a_view_tells_the_root():
    with record() as recorder:
        y = tensor([1.0, 2.0], requires_grad=True) * 1
        y[0] = 5
        z = (y * y).sum()
        z.backward()
    tape = recorder.tape()
    assert [a.op.name for a in tape.applied][-3:] == ["written", "mul", "sum"]
    assert tape.values[tape.applied[-2].inputs[0]].array.tolist() == [5, 2]


@pytest.mark.parametrize("fails", [False, True])
def test_recording_ends_with_its_block(fails):
    try:
        with record() as recorder:
            tensor([1.0]) + 1
            if fails:
                raise ValueError("stop")
    except ValueError:
        assert fails
    tensor([1.0]) + 1
    assert len(recorder.tape().applied) == 1
