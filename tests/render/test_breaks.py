"""Where formulas are broken into lines."""

from __future__ import annotations

import re

from explain.render.breaks import sides, terms
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
    wide = r"2\,(a + (b - c)\,[\,i = 1 + j\,] + \left(d - e\right)) + (f + g)"
    assert terms(wide) == [wide.removesuffix(" + (f + g)"), " + (f + g)"]
    assert terms(wide, 20) == [
        r"2\,(a", r" + (b - c)\,[\,i = 1 + j\,]", r" + \left(d - e\right))", " + (f + g)",
    ]  # fmt: skip
    assert terms(wide, 12)[:3] == [r"2\,(a", r" + (b", r" - c)\,[\,i = 1 + j\,]"]
    assert "".join(terms(wide, 0)) == wide


def test_only_a_wide_formula_is_set_in_parts() -> None:
    assert displayed("y = a = b").count("<math") == 1
    row = " & ".join(f"{k}.2345" for k in range(5))
    wide = rf"y = \begin{{bmatrix}}{row}\end{{bmatrix}} \odot \begin{{bmatrix}}{row}\end{{bmatrix}} \approx 1"
    notes = re.findall(r"<annotation[^>]*>(.*?)</annotation>", displayed(wide))
    assert "".join(note.removeprefix("{}") for note in notes).replace("&amp;", "&") == wide
    assert 'display="block"' not in displayed(wide)
