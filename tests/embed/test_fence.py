"""Blocks as they are read: options, claims, kinds, and where a fault stands."""

from __future__ import annotations

import pytest

from explain.embed.fence import read_fence
from explain.errors import InputError

KINDS = [
    ("sum(x**2)", "expression"),
    ("2*dot(x, x); x=[0,1,2,3]", "expression"),
    ("4 * [0, 1, 2, 3]", "program"),
    ("x = torch.ones(2)", "program"),
    ("import torch\nprint(1)", "program"),
    ("print(torch.ones(2))", "program"),
    ("#| of: y\ny", "program"),
    ("#| at: x=[1]\nx**2", "expression"),
    ("sum(\n  x**2\n)", "expression"),
    ("torch.ones(2, requires_grad=True).sum().backward()", "program"),
]


@pytest.mark.parametrize(("body", "kind"), KINDS)
def test_kinds(body: str, kind: str) -> None:
    assert read_fence(body, source="page.md", line=3).kind == kind


def test_options_claims_and_lines() -> None:
    body = "#| at: x=[1, 2]\n\n#| claim: out wrt x = 2*x\n#| claim: out = sum(x**2)\nsum(x**2)\n"
    fence = read_fence(body, "detail=brief at=y=3", source="page.md", line=10, defaults={"lang": "zh"})
    assert fence.options == {"lang": ("zh",), "detail": ("brief",), "at": ("y=3", "x=[1, 2]")}
    assert (fence.text, fence.line, fence.place) == ("sum(x**2)", 14, "page.md:14")
    assert [(c.of, c.wrt, c.formula, c.line) for c in fence.claims] == [
        ("out", "x", "2*x", 12),
        ("out", None, "sum(x**2)", 13),
    ]


def test_what_a_block_says_goes_before_what_holds_elsewhere() -> None:
    fence = read_fence("x**2", "lang=en", source="p", line=1, defaults={"lang": "zh"})
    assert fence.option("lang") == "en"


def test_a_comparison_in_a_claim_is_no_equals_sign() -> None:
    (claim,) = read_fence("#| claim: out wrt x = where(x == 0, 0, 1)\nx", source="p", line=1).claims
    assert (claim.of, claim.wrt, claim.formula) == ("out", "x", "where(x == 0, 0, 1)")


FAULTS = [  # body, info, place, a part of the message
    ("#| colour: red\nx", "", "p.md:7", "no option 'colour'; there are: at, shape"),
    ("#| detail: much\nx", "", "p.md:7", "brief or normal or full"),
    ("x", "detail", "p.md:6", "name=value"),
    ("x", "detial=brief", "p.md:6", "did you mean 'detail'"),
    ("\n#| v: \nx", "", "p.md:8", "has no value"),
    ("#| v: 1\n#| v: 2\nx", "", "p.md:8", "given twice"),
    ("#| claim: x\nx", "", "p.md:7", "OUT wrt X = FORMULA"),
    ("#| at x=1\nx", "", "p.md:7", "#| name: value"),
    ("#| at: x=1\n", "", "p.md:7", "is empty"),
    ("#| at: x=1\n#| of: y\nx", "", "p.md:9", "belongs to an expression"),
    ("#| backward: last\nx", "", "p.md:7", "is a number"),
]


@pytest.mark.parametrize(("body", "info", "place", "part"), FAULTS)
def test_faults_have_a_place(body: str, info: str, place: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        read_fence(body, info, source="p.md", line=7)
    assert str(caught.value).startswith(f"{place}: ") and part in str(caught.value)
