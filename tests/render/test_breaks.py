"""Where formulas are broken into lines."""

from __future__ import annotations

import re

from explain.render.breaks import continued, sides, terms
from explain.render.hypertext import displayed


def test_sides_begin_at_relations_that_stand_in_no_bracket() -> None:
    braced = r"\begin{cases} a = 1, & b = 2 \end{cases}"
    assert sides(f"y = {braced} = z") == [f"y = {braced}", " = z"]
    assert sides(r"g_i = 2\,[\,i = 2\,]\,v \approx 3") == [r"g_i = 2\,[\,i = 2\,]\,v", r" \approx 3"]
    assert sides(r"y = \left. a = b \right| = c") == [r"y = \left. a = b \right|", " = c"]
    assert sides(r"a \le b") == [r"a \le b"]


def test_terms_begin_at_signs_that_stand_in_no_bracket() -> None:
    inner = r"\left( A - B \right)"
    assert terms(rf"A \odot {inner} - (a + b)\,C") == ["A", rf" \odot {inner}", r" - (a + b)\,C"]
    assert terms(r"\begin{bmatrix}-1 & 2\end{bmatrix} + x") == [r"\begin{bmatrix}-1 & 2\end{bmatrix}", " + x"]


def test_what_is_still_wide_is_cut_inside_of_its_parentheses() -> None:
    long = r"(\mathrm{first} - \mathrm{second} + \mathrm{third})"
    wide = rf"2\,(a + {long}\,[\,i = 1 + j\,] + (b - c) + \left(d - e\right)) + (f + g)"
    assert terms(wide) == [wide.removesuffix(" + (f + g)"), " + (f + g)"]
    outer = [r"2\,(a", rf" + {long}\,[\,i = 1 + j\,]", " + (b - c)", r" + \left(d - e\right))", " + (f + g)"]
    assert terms(wide, 36) == outer
    assert terms(wide, 20)[1:4] == [r" + (\mathrm{first}", r" - \mathrm{second}", r" + \mathrm{third})\,[\,i = 1 + j\,]"]
    assert "".join(terms(wide, 0)) == wide


def test_a_wide_product_is_cut_before_the_sums_in_it() -> None:
    product = r"\tfrac{1}{12} \sum_k X_{ki}\,(1 - h_{kj}^2) \sum_l (W_2)_{jl} \sum_m y_m"
    assert terms(product) == [product]
    assert terms(product, 12) == [
        r"\tfrac{1}{12} \sum_k X_{ki}\,(1 - h_{kj}^2)", r" \sum_l (W_2)_{jl}", r" \sum_m y_m",
    ]  # fmt: skip


def test_an_operator_stays_with_the_sum_that_it_is_applied_to() -> None:
    assert terms(r"y = (a + b) \sqrt{2} \sum_k x_k", 1)[-1].endswith(r"\sqrt{2} \sum_k x_k"), "nor a number"
    for operator in (r"\max_{j}", r"\prod_{j}", r"\operatorname{f}", r"\operatorname{mean}_{j}"):
        assert terms(rf"(a + b) {operator} \sum_k x_{{jk}}", 1)[-1].endswith(rf"{operator} \sum_k x_{{jk}}"), operator


def test_a_line_that_begins_with_a_sum_says_that_it_is_a_factor() -> None:
    assert continued(r" \sum_k x_k") == r"{} \cdot \sum_k x_k"
    assert continued(" + x") == "{} + x" and continued(" = x") == "{} = x"


def test_only_a_wide_formula_is_set_in_parts() -> None:
    assert displayed("y = a = b").count("<math") == 1
    row = " & ".join(f"{k}.2345" for k in range(5))
    wide = rf"y = \begin{{bmatrix}}{row}\end{{bmatrix}} \odot \begin{{bmatrix}}{row}\end{{bmatrix}} \approx 1"
    notes = re.findall(r"<annotation[^>]*>(.*?)</annotation>", displayed(wide))
    assert "".join(note.removeprefix("{}") for note in notes).replace("&amp;", "&") == wide
    assert 'display="block"' not in displayed(wide)
