"""Whatever is typed, the reader gets an answer or one ExplainError whose caret stands inside the text."""

import random
from collections.abc import Callable

import pytest

from explain.errors import ExplainError
from explain.ops import ATTRIBUTES, FUNCTIONS, METHODS
from explain.program.evaluate import evaluate
from explain.program.expression import parse
from explain.program.makers import MAKERS
from explain.program.values import parse_given, parse_shape, parse_value

LETTERS = "xyzAbi 0123.,:;()[]{}+-*/@%&|^~<>=!?'\"\\\n\t#_$θ（）×²·ᵀℓ\u3000\x00\ud800π…e"
WORDS = [
    *FUNCTIONS, *("." + name for name in METHODS), *("." + name for name in ATTRIBUTES), *"xyAbim", *"()()[],",
    "dim=", "0", "1", "-1", "2.5", "'sum'", "None", "...", ":", "**", *"@+-*/<&", "==", "keepdim=True", "lambda", "if",
    "else", "for", "in", "and", "not", "pi", "inf", "torch.", "F.", ".values", "[0]", "p=", "reduction=", "10**9",
]  # fmt: skip
GOOD = [
    "sum((A@x - b)**2)", "mean((tanh(A@A.T + b)@b - y)**2)", "cross_entropy(A, i)", "x[i, None, 1:2]",
    "where(x > 0, x, y)", "max(A, dim=0, keepdim=True).values", "A.T.reshape(3, -1)", "softmax(x, dim=0)",
    "sort(x)[0]*2",
    "dropout(x, 0.5)", "masked_select(x, x>0)", "x.expand(2,-1)", "A.permute(1,0)", "transpose(A,0,1)",
    "unsqueeze(x,-1)",
    "logsumexp(A, (0,1))", "norm(A, p=3, dim=1)", "inv(A@A.T)", "A[:, x>0]", "x[[0,1],]", "[[1, 2], [3, 4]]",
    "arange(6).reshape(2, 3)", "2*randn(3, seed=0)", "full((2,3), 7)",
]  # fmt: skip
OPTIONS = ["0", "1", "-1", "2", "(0,1)", "None", "True", "(2,3)", "1.5", "'sum'", "7", "10**12", "[0,1]", "()", "x"]
INDICES = [
    "i", "m", "0", "1", "-1", ":1", "::2", "...,0", "None", "i,0", ":,0", "x>0", "i:", "[0,1]", "[[0,1],[1,0]]",
    "[True,False]", "0,...,None", "i,i", "7", "y",
]  # fmt: skip
OPERATORS = ["+", "-", "*", "/", "**", "@", "<", "=="]
VALUES = dict(map(parse_given, ["x=[1,2,3]", "y=0.5", "A=randn(2,3)", "b=[1,2]", "i=[0,1]", "m=[True,False,True]"]))


def noise(dice: random.Random) -> str:
    return "".join(dice.choices(LETTERS, k=dice.randint(0, 12)))


def salad(dice: random.Random) -> str:
    return "".join(dice.choices(WORDS, k=dice.randint(1, 8)))


def mutated(dice: random.Random) -> str:
    letters = list(dice.choice(GOOD))
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(letters))
        match dice.randrange(4):
            case 0:
                del letters[place]
            case 1:
                letters.insert(place, dice.choice(LETTERS))
            case 2:
                letters.insert(place, dice.choice(WORDS))
            case _:
                letters[place], letters[0] = letters[0], letters[place]
    return "".join(letters)


def grown(dice: random.Random, depth: int = 3) -> str:
    """Well-formed, mostly of tensors, with options of every kind."""
    if depth == 0 or dice.random() < 0.1:
        return dice.choice(["x", "y", "A", "b", "(x>0)", "A.T", "2", "None", "'sum'", "[0,1]"])
    inner = [grown(dice, depth - 1) for _ in range(3)]
    options = dice.choices(OPTIONS, k=dice.choice([0, 0, 1, 1, 2, 3]))
    match dice.randrange(4):
        case 0:
            return f"({inner[0]} {dice.choice(OPERATORS)} {inner[1]})"
        case 1:
            name = dice.choice(list(FUNCTIONS))
            op = FUNCTIONS[name][-1]
            if op.option_defaults and dice.random() < 0.3:
                options.append(f"{dice.choice(list(op.option_defaults))}={dice.choice(OPTIONS)}")
            return f"{name}({', '.join([*inner[: len(op.tensor_names)], *options])})"
        case 2:
            return f"{inner[0]}.{dice.choice([name for name in METHODS if name[0] != '_'])}({', '.join(options)})"
        case _:
            return f"{inner[0]}[{dice.choice(INDICES)}]"


def made(dice: random.Random) -> str:
    """A value from makers, with arguments of every kind."""
    arguments = ["0", "1", "3", "-1", "2.5", "(2,3)", "[1,2]", "'a'", "int", "None", "inf", "True", "10**9", "ones(2)", "[]"]
    options = ["dtype=float64", "dtype=1", "seed=1", "seed=-1", "seed=0.5", "steps=3", "step=0", "dtype=ones(2)", "size=2"]
    given = dice.choices(arguments, k=dice.choice([0, 1, 1, 2, 2, 3])) + dice.choices(options, k=dice.choice([0, 0, 1, 2]))
    name = dice.choice(list(MAKERS))
    called = f"ones(2, 3){name}" if name.startswith(".") else name
    return f"{called}({', '.join(given)}){dice.choice(['', ' * [1, 2]', ' ** -1', '.T', '/0', ' @ 2'])}"


@pytest.mark.parametrize("make", [noise, salad, mutated, grown, made])
def test_only_explain_errors_come_out(make: Callable[[random.Random], str]) -> None:
    dice = random.Random(0)
    for _ in range(1500):
        text = make(dice)
        try:
            expression = parse(text)
            traced = evaluate(expression, {name: VALUES[name] for name in expression.names if name in VALUES})
            traced.backward(None if traced.output.numel() == 1 else parse_value("1"))
        except ExplainError as error:
            assert_told(error, text)
        for read in (parse_given, parse_value, parse_shape):
            for whole in (text, f"x={text}"):
                try:
                    read(whole)
                except ExplainError as error:
                    assert_told(error, whole)


def assert_told(error: ExplainError, text: str) -> None:
    assert error.message
    assert str(error)
    if error.place is not None:
        assert 0 <= error.place.start <= error.place.end <= len(error.place.text)
        assert error.place.text in (text, "1")
