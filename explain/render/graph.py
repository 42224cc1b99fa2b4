"""The computation graph as a drawing: boxes in layers from left to right, and the wires between them. Coordinates only.

Longest-path layers, stand-ins on long wires, barycentre sweeps against crossings, heights relaxed towards the neighbours
(Sugiyama, Tagawa and Toda, 1981). The same graph always gives the same drawing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 12
RELAXATIONS = 16
GAP = 18.0
"""Between boxes of a layer."""
CHANNEL = 56.0
"""Between layers, where the wires run."""
STAND_IN = 10.0
"""The height of the place where a long wire passes a layer."""

Size = tuple[float, float]
Edge = tuple[str, str]


@dataclass(frozen=True)
class Box:
    """Where a node lies: its left upper corner and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Wire:
    """A wire from one node to another: the points it runs through, first and last at the edges of the boxes."""

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Drawing:
    """A laid out graph."""

    width: float
    height: float
    boxes: Mapping[str, Box]
    wires: tuple[Wire, ...]


def drawn(sizes: Mapping[str, Size], edges: Sequence[Edge]) -> Drawing:
    """Lay out the nodes (``sizes`` by name, in the order they are made) and the edges from source to target."""
    edges = list(dict.fromkeys((a, b) for a, b in edges if a in sizes and b in sizes and a != b))
    layers = _layers(list(sizes), edges)
    chains = {edge: _chain(edge, layers) for edge in edges}
    rows = _rows(layers, chains)
    links = [link for chain in chains.values() for link in pairwise(chain)]
    _untangle(rows, links)
    heights = {name: size[1] for name, size in sizes.items()}
    middles = _relaxed(rows, links, heights)
    top = min(middles[n] - heights.get(n, STAND_IN) / 2 for row in rows for n in row)
    boxes, centres, x = {}, {}, 0.0
    for row in rows:
        width = max((sizes[n][0] for n in row if n in sizes), default=0.0)
        for n in row:
            centres[n] = (x + width / 2, middles[n] - top)
            if n in sizes:
                w, h = sizes[n]
                boxes[n] = Box(x + (width - w) / 2, middles[n] - top - h / 2, w, h)
        x += width + CHANNEL
    wires = tuple([Wire(*edge, _points(chain, boxes, centres)) for edge, chain in chains.items()])
    height = max(centres[n][1] + heights.get(n, STAND_IN) / 2 for row in rows for n in row)
    return Drawing(x - CHANNEL, height, {n: boxes[n] for n in sizes}, wires)


def _layers(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """How far every node is from what it depends on; what depends on nothing stands just before its first use."""
    before, after = defaultdict(list), defaultdict(list)
    for a, b in edges:
        before[b].append(a)
        after[a].append(b)
    found: dict[str, int] = {}
    for n in names:
        found[n] = 1 + max((found[a] for a in before[n] if a in found), default=-1)
    for n in names:
        if not before[n] and after[n]:
            found[n] = min(found[b] for b in after[n]) - 1
    return found


def _chain(edge: Edge, layers: Mapping[str, int]) -> list[str]:
    """The edge's ends and, for every layer between, a stand-in."""
    a, b = edge
    return [a, *(f"{a}\0{b}\0{k}" for k in range(layers[a] + 1, layers[b])), b]


def _rows(layers: Mapping[str, int], chains: Mapping[Edge, list[str]]) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in range(max(layers.values()) + 1)]
    for n, k in layers.items():
        rows[k].append(n)
    for (a, _), chain in chains.items():
        for k, n in enumerate(chain[1:-1], layers[a] + 1):
            rows[k].append(n)
    return rows


def _untangle(rows: list[list[str]], links: Sequence[Edge]) -> None:
    """Order the rows so that few wires cross: everything goes to the mean place of its neighbours, forth and back."""
    near: dict[str, list[str]] = defaultdict(list)
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    best, fewest = [list(row) for row in rows], _crossings(rows, links)
    for sweep in range(SWEEPS):
        for k in range(1, len(rows)) if sweep % 2 == 0 else range(len(rows) - 2, -1, -1):
            beside = {n: place for place, n in enumerate(rows[k - 1 if sweep % 2 == 0 else k + 1])}

            def mean(item: tuple[int, str], beside: dict[str, int] = beside) -> tuple[float, int]:
                places = [beside[m] for m in near[item[1]] if m in beside]
                return (sum(places) / len(places) if places else item[0], item[0])

            rows[k][:] = [n for _, n in sorted(enumerate(rows[k]), key=mean)]
        count = _crossings(rows, links)
        if count < fewest:
            best, fewest = [list(row) for row in rows], count
    rows[:] = best


def _crossings(rows: Sequence[Sequence[str]], links: Sequence[Edge]) -> int:
    place = {n: (k, p) for k, row in enumerate(rows) for p, n in enumerate(row)}
    found = 0
    for k, (a, b) in enumerate(links):
        for c, d in links[k + 1 :]:
            if place[a][0] == place[c][0]:
                found += (place[a][1] - place[c][1]) * (place[b][1] - place[d][1]) < 0
    return found


def _relaxed(rows: Sequence[Sequence[str]], links: Sequence[Edge], heights: Mapping[str, float]) -> dict[str, float]:
    """The middle of every node: near its neighbours', at least a gap apart from those of its row."""
    near: dict[str, list[str]] = defaultdict(list)
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    middles: dict[str, float] = {}
    for row in rows:
        y = 0.0
        for n in row:
            middles[n] = y + heights.get(n, STAND_IN) / 2
            y += heights.get(n, STAND_IN) + GAP
    for turn in range(RELAXATIONS):
        for row in rows if turn % 2 == 0 else reversed(rows):
            wanted = [sum(middles[m] for m in near[n]) / len(near[n]) if near[n] else middles[n] for n in row]
            for n, y in zip(row, _apart(wanted, [heights.get(n, STAND_IN) for n in row]), strict=True):
                middles[n] = y
    return middles


def _apart(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones at which nothing overlaps: blocks that touch move together."""
    blocks: list[tuple[list[int], float]] = []  # members, offset-free mean of what they want
    offsets = [0.0]
    for k in range(1, len(wanted)):
        offsets.append(offsets[-1] + (heights[k - 1] + heights[k]) / 2 + GAP)
    for k, y in enumerate(wanted):
        members, place = [k], y - offsets[k]
        while blocks and blocks[-1][1] > place:
            earlier, other = blocks.pop()
            place = (other * len(earlier) + place * len(members)) / (len(earlier) + len(members))
            members = [*earlier, *members]
        blocks.append((members, place))
    return [place + offsets[k] for members, place in blocks for k in members]


def _points(
    chain: Sequence[str], boxes: Mapping[str, Box], centres: Mapping[str, tuple[float, float]]
) -> tuple[tuple[float, float], ...]:
    first, last = boxes[chain[0]], boxes[chain[-1]]
    start = (first.x + first.width, first.y + first.height / 2)
    end = (last.x, last.y + last.height / 2)
    return (start, *(centres[n] for n in chain[1:-1]), end)
