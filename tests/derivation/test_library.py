"""The table of ops: nothing is missing in it, and what is made of ops is derived through its parts."""

from __future__ import annotations

import json
import re
import warnings

import pytest

from explain.cli import main
from explain.derivation.library import PREFIXES, OpEntry, library
from explain.errors import InputError
from explain.ops import REGISTRY
from explain.ops.registry import COMPOSITES
from explain.render.library import render_library

COUNTING = {  # composites whose results are positions or counts
    "argsort", "matrix_rank", "nonzero", "where_nonzero",
}  # fmt: skip
REFUSED = {"unique", "unique_consecutive", "histogram", "vander"}  # torch makes a node for them, whose backward raises
UNCHANGED = {"contiguous", "positive"}  # the very tensor comes back


@pytest.fixture(scope="module")
def entries() -> dict[str, OpEntry]:
    """The whole table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of torch's functions warn that they are old
        return {entry.name: entry for entry in library()}


@pytest.mark.parametrize("name", sorted(COMPOSITES))
def test_a_composite_is_derived_through_its_parts(name: str, entries: dict[str, OpEntry]) -> None:
    entry = entries[name]
    if name in COUNTING | UNCHANGED | REFUSED:
        assert entry.derivative == ("none" if name in COUNTING else "same" if name in UNCHANGED else "refused")
        return
    assert entry.derivative == "yes" and entry.example is not None and entry.example.ok
    assert entry.parts and set(entry.parts) <= set(REGISTRY)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_an_op_has_a_formula_and_says_what_goes_back(name: str, entries: dict[str, OpEntry]) -> None:
    op, entry = REGISTRY[name], entries[name]
    if not op.differentiable:
        assert entry.derivative == ("refused" if op.not_implemented else "none")
        return
    assert entry.derivative == "yes" and entry.example is not None and entry.example.ok
    assert all(s.contracted is not None for s in entry.example.steps)


def test_no_cell_of_the_table_is_empty(entries: dict[str, OpEntry]) -> None:
    everything = {**REGISTRY, **COMPOSITES}
    assert set(entries) == set(everything)
    for lang in ("en", "zh"):
        rows = [line for line in render_library(entries.values(), "md", lang=lang).splitlines() if line.startswith("| `")]
        assert len(rows) == len(entries)
        for row in rows:
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
            assert len(cells) == 4 and all(cells), row
    for block in re.split(r"\n\n(?=\S)", render_library(entries.values(), "text").strip()):
        assert len(block.splitlines()) > 2, block
    for data in json.loads(render_library(entries.values(), "json")):
        op = everything[data["name"]]
        assert data["kind"] and data["rule"]
        assert data["functions"] == [PREFIXES[n.rpartition(".")[0]] + n.rpartition(".")[2] for n in op.functions]
        assert data["methods"] == [*op.methods, *op.attributes]
        if data["derivative"] == "yes":
            assert data["grad_fn"] and (data["parts"] or (data["formula"]["latex"] and data["inputs"])), data["name"]
            for given in data["inputs"]:
                assert given["name"] and given["vjp"]["latex"] and given["jacobian"]["latex"], data["name"]


def test_every_name_that_goes_back_is_said(entries: dict[str, OpEntry]) -> None:
    """Of the call, its parts, what stands beside as where, or an operation of them (``inv(A)``)."""
    for data in json.loads(render_library(entries.values(), "json")):
        d = entries[data["name"]].example
        said = set(data["where"]) | ({row.name for row in d.rows} if d is not None else set())
        for given in data["inputs"]:
            used = {m[0] for m in re.finditer(r"[^\W\d]\w*(?=\[)", given["vjp"]["sympy"] + given["jacobian"]["sympy"])}
            assert {n for n in used if not n.startswith("bar")} <= said, data["name"]


def test_ops_are_found_by_every_name() -> None:
    for name in ("inv", "torch.linalg.inv", "linalg.inv", "Tensor.inverse", "inverse"):
        assert [entry.name for entry in library([name])] == ["inv"], name
    assert {entry.name for entry in library(["F.mse_loss"])} == {"mse_loss", "weighted_mse_loss"}


def test_an_unknown_name_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(InputError, match="sofmax") as caught:
        list(library(["sofmax"]))
    assert "softmax" in str(caught.value)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["inv", "relu", "argmax", "floor_divide", "hstack"]
    assert main(["ops", *names, "--format", "text"]) == 0
    text = capsys.readouterr().out
    assert "ā = −yᵀ ȳ yᵀ" in text and "made of cat" in text and "special points: kinks" in text
    assert "the result jumps" in text and "PyTorch raises" in text
    assert main(["ops", *names, "--format", "md", "--lang", "zh"]) == 0
    assert "# 运算一览" in capsys.readouterr().out
    assert main(["ops", *names, "--format", "json"]) == 0
    found = {op["name"]: op for op in json.loads(capsys.readouterr().out)}
    assert set(found) == set(names)
    (back,) = found["inv"]["inputs"]
    assert back["matrix"] == r"-y^{\top} \bar y y^{\top}" and found["hstack"]["parts"] == ["cat"]
    assert main(["ops", "nothing_such"]) == 2
