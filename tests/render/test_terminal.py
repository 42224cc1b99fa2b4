"""Lines of a terminal page: broken at spaces and beside wide characters, in columns."""

from __future__ import annotations

import pytest

import explain
from explain.errors import columns
from explain.render.carried import carried, in_ascii
from explain.render.terminal import broken, wrapped
from tests.render.pages import CASES, run_of

WRAPPED = [
    ("a bb ccc dddd", 8, "a bb ccc\ndddd"),
    ("  one two three", 9, "  one two\n  three"),
    ("- one two three", 9, "- one two\n  three"),
    ("averyveryverylongword b", 8, "averyveryverylongword\nb"),
    ("梯度是一个向量。", 10, "梯度是一个\n向量。"),
    ("梯度是一个。向量", 10, "梯度是一\n个。向量"),
    ("由 out 回到 x。", 10, "由 out 回\n到 x。"),
    ("公式没有值（不适用）", 12, "公式没有值\n（不适用）"),
    ("为“否”的概率", 4, "为\n“否”\n的概\n率"),
    ("", 10, ""),
]


@pytest.mark.parametrize(("text", "wide", "shown"), WRAPPED)
def test_wrapped(text: str, wide: int, shown: str) -> None:
    assert wrapped(text, wide) == shown
    assert all(columns(line) <= wide or " " not in line.strip() for line in shown.splitlines())


BROKEN = [
    ("a = b + c", 20, "  a = b + c"),
    ("x̄ᵢ = Σⱼ aᵢⱼ·bⱼ = cᵢ", 16, "  x̄ᵢ = Σⱼ aᵢⱼ·bⱼ\n      = cᵢ"),
    ("aaaa + bb·(c + dddd) + eeee", 22, "  aaaa + bb·(c + dddd)\n      + eeee"),
    ("J = [[1, 2], [3, 4], [5, 6]]", 20, "  J = [[1, 2],\n      [3, 4],\n      [5, 6]]"),
    ("aaaaaa·bbbbbb·cccccc", 14, "  aaaaaa\n      ·bbbbbb\n      ·cccccc"),
    ("unbreakableunbreakable", 10, "  unbreakableunbreakable"),
]


@pytest.mark.parametrize(("text", "wide", "shown"), BROKEN)
def test_a_line_of_mathematics_breaks_at_an_operator(text: str, wide: int, shown: str) -> None:
    assert broken(text, wide, "  ") == shown
    assert "".join(shown.split()) == "".join(text.split())


@pytest.mark.parametrize("name", ["net", "logistic", "least-squares", "several-outputs"])
def test_no_line_of_a_page_is_wider_than_the_terminal(name: str) -> None:
    for wide in (60, 80):
        run = run_of(name)
        page = run.render("text", width=wide)
        own = run.code.split("\n")
        for line in page.split("\n"):
            assert columns(line) <= wide or any(part.strip() and part.strip() in line for part in own), line


def test_the_calls_of_a_loop_whose_gradients_are_wide_stand_below_each_other() -> None:
    turns = explain.run(
        "W = torch.ones(2, 3, requires_grad=True)\n"
        "b = torch.zeros(3, requires_grad=True)\n"
        "for k in range(4):\n"
        "    loss = ((torch.tensor([0.25, 0.125]) @ W + b) ** 2).sum()\n"
        "    loss.backward()\n"
    )
    assert "\n    call  line  loss    W̄" in turns.render("text", width=120)
    page = turns.render("text", width=60, show="answer")
    assert max(map(columns, page.split("\n"))) <= 60
    assert "\n    4     5     0.4219\n        W̄ = [[" in page and "\n        b̄ = [0.75, 0.75, 0.75]" in page


IN_ASCII = [
    ("∂out/∂xᵢ = 2·xᵢ", "d out/d x_i = 2*x_i"),
    ("x̄ᵢ = Σⱼ Aⱼᵢ·ū₁[j]", "bar(x)_i = sum_j A_ji*bar(u_1)[j]"),
    ("xᵢ₊₁·[i ≤ 3] − 1", "x[i+1]*[i <= 3] - 1"),
    ("√(Σᵢ xᵢ⁴)", "sqrt(sum_i x_i^4)"),
    ("θ̄ = Aᵀ(x ⊙ y)", "bar(theta) = A.T(x .* y)"),
    ("✓ tape = formula (< 10⁻⁵)", "ok tape = formula (< 10^-5)"),
    ("h⁽¹²⁾ → δᵢⱼ", "h^(12) -> delta_ij"),
]


@pytest.mark.parametrize(("text", "shown"), IN_ASCII)
def test_signs_in_ascii(text: str, shown: str) -> None:
    assert in_ascii(text) == shown and shown.isascii()


def test_signs_stay_where_the_output_carries_them() -> None:
    assert carried("∂x", "utf-8") == "∂x" and carried("∂x", "ascii") == "d x" and carried("é", "latin-1") == "é"


@pytest.mark.parametrize("name", CASES)
def test_every_page_is_readable_in_ascii(name: str) -> None:
    page = run_of(name).render("text")
    shown = carried(page, "ascii")
    assert shown.isascii(), {c for c in shown if not c.isascii()}


def test_a_formula_is_not_broken_for_the_grad_fn_beside_it() -> None:
    text = explain.expr("(1 - x[0])**2 + 100*(x[1] - x[0]**2)**2", x=[-1, 2]).render("text", width=60)
    assert "= (1 − x₁)² + 100·(x₂ − x₁²)²\n                     AddBackward0\n" in text
