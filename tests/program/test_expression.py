"""Expressions: what is read, and for everything else the message, the place of its caret, and the hint."""

import ast
import subprocess
import sys

import pytest

from explain.errors import ExplainError, InputError
from explain.program.expression import parse

READ = [  # text, free names, constants
    ("2*dot(x, x)", "x", ""),
    ("sum((A@x - b)**2)", "A x b", ""),
    ("b + a*b", "b a", ""),
    ("torch.dot(x, x) + np.exp(y) + torch.linalg.inv(A)", "x y A", ""),
    ("torch.nn.functional.relu(x)", "x", ""),
    ("F.relu(x)", "x", ""),
    ("F.cross_entropy(x, y)", "x y", ""),
    ("F.sum(dim=0)", "F", ""),
    ("F.T @ x", "F x", ""),
    ("F.softmax(1)", "F", ""),
    ("F.dot(b)", "F b", ""),
    ("x**pi + torch.pi - math.inf + π", "x", "pi inf π"),
    ("max(x, 0).values + max(x, dim=0)[1]", "x", ""),
    ("x[1:2, None, ..., [0, 1], i, ::2]", "x i", ""),
    ("cross_entropy(x, y, reduction='sum')", "x y", ""),
    ("(x\n + y\t* z)", "x y z", ""),
    ("  x \n", "x", ""),
    ("x\u00a0+\u3000y", "x y", ""),
    ("\ufeffx + 1  # a comment", "x", ""),
    ("θ*ℓ", "θ l", ""),
    ("(x > 0) & (x != y)", "x y", ""),
    ("t(t)", "t", ""),
    ("e + e", "e", ""),
]


@pytest.mark.parametrize(("text", "names", "constants"), READ)
def test_is_read(text, names, constants):
    expression = parse(text)
    assert expression.names == tuple(names.split())
    assert expression.constants == tuple(constants.split())


REFUSED = [  # text, what stands over the caret, message, hint (a part of it)
    ("tahn(x)", "tahn", "unknown function 'tahn'", "did you mean 'tanh'?"),
    ("1 + sofmax(x)", "sofmax", "unknown function 'sofmax'", "did you mean 'softmax'?"),
    ("θ + tahn(x)", "tahn", "unknown function 'tahn'", "tanh"),
    ("𝐱*ℓ + (\n  tahn(𝐱))", "tahn", "unknown function 'tahn'", "tanh"),
    ("torch.tahn(x)", "tahn", "unknown function 'tahn'", "tanh"),
    ("|x|", "|", "after '|' something is missing", "abs(x)"),
    ("2*(|x - 1| + 3)", "|", "before '|' something is missing", "norm(x)"),
    ("sech(x)", "sech", "unknown function 'sech'", "1/cosh(…)"),
    ("tg(x)", "tg", "unknown function 'tg'", "'tan'"),
    ("linalg + x", "linalg", "'linalg' is a module", "linalg.exp"),
    ("view(x, 6)", "view", "unknown function 'view'", "x.view(…)"),
    ("T(A)", "T", "unknown function 'T'", "A.T"),
    ("x(2)", "x", "unknown function 'x'", "x*(…)"),
    ("x(2) + x", "x", "'x' is a value here, not a function", "x*(…)"),
    ("2(x)", "2", "this is not a function", "2*(…)"),
    ("nn.ReLU()(x)", "nn.ReLU()", "this is not a function", "by their names"),
    ("ones(3)*x", "ones", "unknown function 'ones'", '--at "a=ones(…)"'),
    ("print(x)", "print", "unknown function 'print'", "leave print out"),
    ("x.tahn()", "tahn", "unknown method 'tahn'", "tanh"),
    ("x.cross_entropy(y)", "cross_entropy", "unknown method 'cross_entropy'", "cross_entropy(x)"),
    ("x.relu_()", "relu_", "unknown method 'relu_'", ".relu(…)"),
    ("A.T()", "T", "'T' is read, not called", ".T"),
    ("x.sum", "sum", "'sum' is a method", ".sum()"),
    ("x . shape[0]", "shape", "unknown attribute 'shape'", "write the number"),
    ("x.grad", "grad", "unknown attribute 'grad'", "only the expression"),
    ("x.__class__", "__class__", "'__class__': names that begin with an underscore are not read", ""),
    ("__import__('os')", "__import__", "'__import__': names that begin with an underscore are not read", ""),
    ("1 + _x", "_x", "'_x': names that begin with an underscore are not read", ""),
    ("torch.relu", "torch.relu", "'torch.relu' is a function", "torch.relu(x)"),
    ("torch + 1", "torch", "'torch' is a module, not a value", "torch.exp(x)"),
    ("torch.foo.bar(x)", "torch.foo.bar", "unknown name 'torch.foo.bar'", "with or without"),
    ("torch.backends", "backends", "unknown name 'backends'", ""),
    ("x^2", "^", "'^' is not an operation here", "x**2"),
    ("(x) ^ (2)", "^", "'^' is not an operation here", "x**2"),
    ("x // 2", "//", "'//' is not an operation here", "single /"),
    ("x << 2", "<<", "'<<' is not an operation here", ""),
    ("x is None", "is", "'is' is not an operation here", "=="),
    ("x not in y", "not", "'not in' is not an operation here", ""),
    ("0 < x < 1", "<", "comparisons are made two by two", "(0 < x) & (x < 1)"),
    ("x > 0 & x < 1", "<", "comparisons are made two by two", "(x > 0) & (x < 1)"),
    ("x and y", "and", "'and' is not part of expressions", "&"),
    ("(x) or (y)", "or", "'or' is not part of expressions", "&"),
    ("not x", "not", "'not' is not part of expressions", "opposite"),
    ("~x", "~", "'~' is not part of expressions", "opposite"),
    ("1 + lambda_(x)", "lambda_", "unknown function 'lambda_'", ""),
    ("lambda x: x", "lambda x: x", "a lambda is not part of expressions", "without lambda"),
    ("[i for i in x]", "[i for i in x]", "a comprehension is not part of expressions", "x**2"),
    ("sum(i for i in x)", "(i for i in x)", "a comprehension is not part of expressions", "sum(x**2)"),
    ("{1: x}", "{1: x}", "a dictionary is not part of expressions", "by name"),
    ("{x}", "{x}", "a set is not part of expressions", "[ ]"),
    ("x + f'{x}'", "f'{x}'", "an f-string is not part of expressions", "plain strings"),
    ("(y := x)", "y := x", "the assignment := is not part of expressions", "--at"),
    ("await x", "await x", "await is not part of expressions", "out"),
    ("sum(*x)", "*x", "a starred argument is not part of expressions", "one by one"),
    ("sum(**x)", "**x", "options in a dictionary are not part of expressions", "one by one"),
    ("x if y else z", "x if y else z", "a choice by if … else is not part of expressions", "where(condition, a, b)"),
    ("x if y", None, "a choice by if … else is not part of expressions", "where(condition, a, b)"),
    ("x + 2j", "2j", "complex numbers are not part of expressions", ""),
    ("x + b'a'", "b'a'", "bytes are not part of expressions", ""),
    ("x + 99999999999999999999", "99999999999999999999", "this whole number is too large for 64 bits", "1e20"),
    ("sum(x, dim=0, dim=1)", "dim=1", "the option 'dim' is given twice", ""),
    ("sum(x, dim=0, x)", ")", "a plain argument stands behind a named one", "last"),
    ("a·b", "·", "the character · is not read", "Write * instead"),
    ("x + Aᵀ", "ᵀ", "the character ᵀ is not read", "Write .T instead"),
    ("sum（x）", "（", "the character （ is not read", "Write ( instead"),
    ("sum(x，y)", "，", "the character ， is not read", "Write , instead"),
    ("θ×2", "×", "the character × is not read", "Write * instead"),
    ("x − 1", "−", "the character − is not read", "Write - instead"),
    ("x²", "²", "the character ² is not read", "Write **2 instead"),
    ("１+x", "１", "the character １ is not read", "Write 1 instead"),
    ("‖x‖", "‖", "the character ‖ is not read", "norm(…)"),
    ("$x$", "$", "the character $ is not read", "LaTeX"),
    ("\\sqrt{x}", "\\", "the character \\ is not read", "sqrt(x)"),
    ("x!", "!", "the character ! is not read", ""),
    ("2x", "2x", "2x needs a *", "2*x"),
    ("θ + 3.5(x) + 2x", "2x", "2x needs a *", "2*x"),
    ("2 x", "x", "between '2' and 'x' an operator is missing", "2*x"),
    ("sum(x y)", "y", "between 'x' and 'y' an operator is missing", ""),
    ("(x) 2", "2", "between ')' and '2' an operator is missing", ""),
    ("A' @ x", "'", "this quote is never closed", "A.T"),
    ("sum(x, 'a)", "'", "this quote is never closed", ""),
    ("sum(x", "(", "this '(' is never closed", "Add a ')'"),
    ("x[0", "[", "this '[' is never closed", "Add a ']'"),
    ("sum(x]", "]", "']' stands where '(' waits for its ')'", ""),
    ("x)", ")", "nothing was opened that this ')' closes", ""),
    ("x +", "+", "after '+' something is missing", ""),
    ("* x", "*", "before '*' something is missing", ""),
    ("x * / y", "* /", "between '*' and '/' something is missing", ""),
    ("sum(, x)", ",", "before ',' something is missing", ""),
    ("y = sum(x)", "=", "'=' assigns, and an expression assigns nothing", '--at "y=…"'),
    ("sum(x) = 3", "=", "'=' assigns, and an expression assigns nothing", "--at"),
    ("x; y", ";", "this is a program of several statements, not one expression", "explain run"),
    ("x\ny", "\n", "this is a program of several statements, not one expression", "explain run"),
    ("x\n + y", "\n", "the line ends in the middle of the expression", "parentheses"),
    ("x +\n y", "\n", "the line ends in the middle of the expression", "parentheses"),
    ("import os", "import", "a line that begins with 'import' is a program, not one expression", "explain run"),
    ("for i in x: y", "for", "a line that begins with 'for' is a program, not one expression", "explain run"),
    ("012*x", "0", "a number cannot begin with 0", ""),
    ("x\0", "\0", "the character U+0000 cannot be read", ""),
    ("x\ud800", "\ud800", "the character U+D800 cannot be read", ""),
    ("# only this", "# only this", "there is only a comment", ""),
    ("", None, "the expression is empty", "sum(x**2)"),
    (" \n ", None, "the expression is empty", "sum(x**2)"),
    ("(" * 4900 + "x" + ")" * 4900, None, "parentheses are nested 200 deep", "explain run"),
    ("-" * 200 + "x", None, "expression: parentheses, operators or calls are nested", "explain run"),
    ("-" * 5000 + "x", None, "expression: parentheses, operators or calls are nested", "explain run"),
    ("x" + ".T" * 4000, None, "expression: parentheses, operators or calls are nested", "explain run"),
    ("x" + "**x" * 3000, None, "expression: parentheses, operators or calls are nested", "explain run"),
    ("+".join("x" * 1000), None, "expression: parentheses, operators or calls are nested", "explain run"),
    ("x" * 20_000, None, "expression: 20,000 characters are too long; the limit is 10,000", "explain run"),
    ("x*" + "9" * 5000, None, "a whole number of thousands of digits is too long", "1e20"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "marked", "message", "hint"), REFUSED, ids=[row[0][:40] for row in REFUSED])
def test_is_refused_with_a_place_and_a_hint(text, marked, message, hint):
    with pytest.raises(InputError) as caught:
        parse(text)
    error = caught.value
    assert error.message.startswith(message)
    assert hint in (error.hint or "")
    if marked is not None:
        assert text[error.place.start : error.place.end] == marked
    if "tahn" in text:
        assert error.place.start == text.index("tahn")
    str(error)


def test_the_second_of_two_equal_signs_is_marked():
    with pytest.raises(InputError) as caught:
        parse("0 < x < 1")
    assert caught.value.place.start == 6


def test_places_count_characters_of_the_authors_text():
    expression = parse("  𝐱 + (ℓ\r\n * θ.T)")
    names = [node for node in ast.walk(expression.tree) if isinstance(node, ast.Name)]
    assert sorted(expression.words(node) for node in names) == sorted(["𝐱", "ℓ", "θ"])
    assert expression.first("θ").start == expression.text.index("θ")
    assert expression.names == ("x", "l", "θ")  # as Python normalises them


def test_a_long_sum_is_read():
    assert parse("+".join(["x"] * 100)).names == ("x",)


def test_prefixes_are_gone_from_the_tree_but_not_from_the_words():
    expression = parse("torch.dot(x, x)")
    assert isinstance(expression.tree, ast.Call)
    assert isinstance(expression.tree.func, ast.Name) and expression.tree.func.id == "dot"
    assert expression.words(expression.tree.func) == "torch.dot"


def test_reading_does_not_import_sympy():
    code = "import sys, explain.program.expression, explain.program.evaluate; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_errors_know_their_exit_code():
    with pytest.raises(ExplainError) as caught:
        parse("tahn(x)")
    assert caught.value.exit_code == 2
    assert str(caught.value) == "expression: unknown function 'tahn'\n  tahn(x)\n  ^^^^\ndid you mean 'tanh'?"
