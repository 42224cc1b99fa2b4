"""What a step says of itself is true of that very step."""

from __future__ import annotations

from typing import Any

import pytest

from explain.derivation.expression import run_expression
from explain.derivation.program import run_program
from explain.derivation.steps import unused_name
from explain.program.values import parse_given

SCORES = "x=[[1,2,0.5],[0.3,-0.2,1.1],[0,1,2]]"
SHARES = "q=[[0.5,0.5,0],[0,0,1],[0.2,0.3,0.5]]"
CLASSES = "y=[1,2,0]"
IGNORED = "y=[1,-100,0]"
TOLD: list[tuple[str, list[str], str]] = [
    ("cross_entropy(x, y)", [CLASSES], "less 1 at the true class, and the mean divides by 3."),
    ("cross_entropy(x, y, reduction='sum')", [CLASSES], "less 1 at the true class."),
    ("cross_entropy(x, y, label_smoothing=0.1)", [CLASSES], "small for all others. The mean divides by 3."),
    ("cross_entropy(x, y)", [IGNORED], "whose class is -100 do not count and get 0. The mean divides by the number of rows"),
    ("cross_entropy(x, y, weight=w)", [CLASSES, "w=[1,2,3]"], "its weight. The mean divides by the sum of the weights"),
    ("cross_entropy(x, q)", [SHARES], "less the shares themselves. The mean divides by 3."),
    ("nll_loss(x, y)", [CLASSES], "all others get 0. The mean divides by 3."),
    ("nll_loss(x, y, reduction='sum')", [IGNORED], "all others get 0. Rows whose class is -100 do not count and get 0."),
    ("sum(x**2) + dot(x[0], x[1])", [], "2 contributions add"),
    ("norm(log(x**2 + 1).unsqueeze(0))", [], "Entry by entry: each output entry depends on the input entry in"),
    ("norm(log(x[0]**2 + 1))", [], "Entries are picked and combined"),
]


def sentences(expression: str, at: list[str], **options: Any) -> str:
    """The text of the page, without its line breaks."""
    given = dict(parse_given(text) for text in [SCORES, *at])
    run = run_expression(expression, given, None, ["x"], {})
    return " ".join(run.render("text", **options).split())


@pytest.mark.parametrize(("expression", "at", "words"), TOLD)
def test_a_sentence_is_true_of_its_step(expression: str, at: list[str], words: str) -> None:
    assert words in sentences(expression, at)


@pytest.mark.parametrize(("expression", "at"), [case[:2] for case in TOLD[2:8]])
def test_only_the_plain_mean_divides_by_the_number_of_rows(expression: str, at: list[str]) -> None:
    assert "less 1 at the true class, and the mean divides" not in sentences(expression, at)


STRAIGHT_THROUGH = """import torch
x = torch.tensor([0.2, 1.7], requires_grad=True)
y = x.round() - x.detach() + x
(y**2).sum().backward()
"""


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "with all that was cut off (see the notes) held fixed, it really goes from $4$ to"),
        ("zh", "在被切断的值（见说明）保持不变时，实际上它从"),
    ],
)
def test_what_is_cut_off_is_held_fixed_where_an_entry_is_raised(language: str, words: str) -> None:
    """The program itself would compute it anew, and its result would not move."""
    page = run_program(STRAIGHT_THROUGH, name="ste.py").render("md", lang=language)
    assert words in page


WRITES = """import torch
x = torch.tensor([1., 2., 3.], requires_grad=True)
log_q = torch.tensor(0.5, requires_grad=True)
y = torch.zeros(3)
y[0] = x[0] * log_q
y[1:] = x[1:] ** 2
y[:2] += 1
z = torch.ones(2, 3)
z[:, 1] = y[1:]
w = x.clone()
w[w > 1] = 0 * x[:2]
out = (z[1] + y + w).sum()
out.backward()
"""
SHOWN = (
    "line 5, y[0] = x[0] * log_q",  # the assignment, not its target alone
    "y⁽²⁾ᵢ = {log_q·x₁, i = 1; y⁽¹⁾ᵢ, i ≠ 1}",  # log_q: no logarithm to the base q
    "= {xᵢ², i ≥ 2;",
    "zᵢⱼ = {yᵢ₊₁, j = 2;",
    "yᵢ = y⁽⁴⁾ᵢ",  # Python assigns after +=, which changes nothing
    "wᵢ = {0, writtenᵢ = 1;",  # where a mask is true is no formula
)


@pytest.mark.parametrize("words", SHOWN)
def test_what_was_assigned_to_entries_is_said_with_their_indices(words: str) -> None:
    assert words in " ".join(run_program(WRITES, name="writes.py").render("text", width=200).split())


@pytest.mark.parametrize(
    ("base", "taken", "name"), [("c", "", "c"), ("c", "c c_1", "c_2"), ("p0", "p0 p1", "p2"), ("p1", "p1", "p2")]
)
def test_a_name_that_is_taken_gets_a_number(base: str, taken: str, name: str) -> None:
    assert unused_name(base, taken.split()) == name


def test_a_bag_of_embeddings_says_what_it_adds() -> None:
    source = "bag = nn.EmbeddingBag(3, 2, mode='mean')\nbag(torch.tensor([[0, 2]])).sum().backward()\n"
    assert "1 over their number in a mean. Each row gets the upstream of" in " ".join(
        run_program(source).render("text").split()
    )


@pytest.mark.parametrize("call", ["jacobian(lambda t: t**2, x)", "hessian(lambda t: (t**3).sum(), x)"])
def test_nobody_is_told_of_detaching_that_a_function_of_torch_does(call: str) -> None:
    text = run_program(
        f"from torch.autograd.functional import hessian, jacobian\nx = torch.ones(2, requires_grad=True)\nJ = {call}\n"
    ).render("text")
    assert "its history" not in text and "held fixed" not in text


@pytest.mark.parametrize(("format", "sign"), [("md", "sends back"), ("html", "sends back")])
def test_a_column_for_what_is_sent_back_stands_where_something_is(format: str, sign: str) -> None:
    start = "from torch.autograd.functional import jacobian\nx = torch.ones(2, requires_grad=True)\n"
    f = "(lambda t: (t * t).exp() * 2)"
    assert sign in run_program(f"{start}y = {f}(x).sum()\ny.backward()\n").render(format)
    whole = run_program(f"{start}J = jacobian({f}, x)\n").render(format)
    assert "computes" in whole and sign not in whole
