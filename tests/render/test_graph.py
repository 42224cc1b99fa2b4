"""The layout of graphs, by coordinates."""

from __future__ import annotations

import itertools

import pytest

from explain.render.graph import Drawing, drawn

GRAPHS = {
    "one": (["x"], []),
    "chain": (list("abcd"), [("a", "b"), ("b", "c"), ("c", "d")]),
    "fan": (list("xabcz"), [("x", n) for n in "abc"] + [(n, "z") for n in "abc"]),
    "skip": (list("xabz"), [("x", "a"), ("a", "b"), ("b", "z"), ("x", "z")]),
    "net": (
        ["X", "W", "b", "u", "h", "V", "o", "y", "L"],
        [("X", "u"), ("W", "u"), ("b", "u"), ("u", "h"), ("h", "o"), ("V", "o"), ("o", "L"), ("y", "L")],
    ),
}


def laid(name: str) -> Drawing:
    nodes, edges = GRAPHS[name]
    return drawn({n: (60.0 + 10 * k % 30, 40.0) for k, n in enumerate(nodes)}, edges)


@pytest.mark.parametrize("name", GRAPHS)
def test_nothing_overlaps_and_all_is_inside(name: str) -> None:
    d = laid(name)
    for a, b in itertools.combinations(d.boxes.values(), 2):
        apart_x = a.x + a.width <= b.x or b.x + b.width <= a.x
        assert apart_x or a.y + a.height <= b.y or b.y + b.height <= a.y
    for box in d.boxes.values():
        assert box.x >= -1e-9 and box.x + box.width <= d.width + 1e-9
        assert box.y >= -1e-9 and box.y + box.height <= d.height + 1e-9


@pytest.mark.parametrize("name", GRAPHS)
def test_wires_run_forward_from_box_to_box(name: str) -> None:
    d = laid(name)
    assert {(w.source, w.target) for w in d.wires} == set(GRAPHS[name][1])
    for w in d.wires:
        a, b = d.boxes[w.source], d.boxes[w.target]
        assert w.points[0] == (a.x + a.width, a.y + a.height / 2) and w.points[-1] == (b.x, b.y + b.height / 2)
        assert all(p[0] < q[0] for p, q in itertools.pairwise(w.points))


def test_a_chain_is_straight_and_a_leaf_stands_by_its_use() -> None:
    assert len({box.y for box in laid("chain").boxes.values()}) == 1
    net = laid("net").boxes
    assert net["V"].x > net["W"].x and net["y"].x > net["V"].x


def test_a_long_wire_goes_around_what_is_between() -> None:
    d = laid("skip")
    (wire,) = (w for w in d.wires if (w.source, w.target) == ("x", "z"))
    for x, y in wire.points[1:-1]:
        assert not any(b.x <= x <= b.x + b.width and b.y <= y <= b.y + b.height for b in d.boxes.values())


def test_the_same_graph_is_the_same_drawing() -> None:
    assert laid("net") == laid("net")
