"""A reader of printed formulas: what a page shows, LaTeX or terminal text, as a function of the tensors' values.

Written from the notation alone: it shares nothing with the printers but the printed names of the tensors. Both notations
are brought to one spelling and read by one grammar. Letters count from ``base``, as they are shown.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.render.arithmetic import Env, Ones, Value, constant, plain, product, raised, transposed
from tests.render.spelling import closing, spelled

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "sigma": lambda x: 1 / (1 + np.exp(-x)), "sign": np.sign, "detach": lambda x: x, "inv": np.linalg.inv,
    "relu": lambda x: np.maximum(x, 0), "abs": np.abs, "diag": lambda x: np.diag(np.ravel(x)),
}  # fmt: skip
RELATIONS = {
    "=": np.equal,
    r"\ne": np.not_equal,
    r"\le": np.less_equal,
    r"\ge": np.greater_equal,
    "<": np.less,
    ">": np.greater,
}
RELATION = re.compile(r"=|\\ne\b|\\le\b|\\ge\b|<|>")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
WORD = re.compile(r"\\(?:operatorname|mathrm)\{(\w+)\}|\\?([a-z]{2,})(?![a-zA-Z])")
BIG: dict[str, Callable[..., Any]] = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}


class Reader:
    """Reads formulas that speak of the tensors ``arrays``; ``printed``: how each is printed. ``lengths``: of letters that
    index no axis on their own. ``rows``: how many rows the whole has, for an identity. Vectors are columns in matrix forms.
    """

    def __init__(
        self,
        text: str,
        printed: Mapping[str, str],
        arrays: Mapping[str, Any],
        lengths: Mapping[str, int],
        base: int,
        rows: int = 1,
    ) -> None:
        self.arrays = {name: np.asarray(a, float) for name, a in arrays.items()}
        self.lengths, self.base, self.rows = dict(lengths), base, rows
        self.axes: dict[str, set[int]] = {}
        self.s, self.at = spelled(text, {shown: name for name, shown in printed.items()}), 0

    def value(self, env: Env | None = None) -> Any:
        """The formula's value; ``env``: the free letters' values, as they are shown."""
        self.at, self.scope = 0, set(env or {})
        found = self.sum()
        assert self.at == len(self.s), f"{self.s[: self.at]} ⟂ {self.s[self.at :]}"
        return found(dict(env or {}))

    # grammar

    def skip(self) -> None:
        while self.s[self.at : self.at + 1] == " ":
            self.at += 1

    def eat(self, *texts: str) -> str:
        self.skip()
        for t in texts:
            if self.s.startswith(t, self.at) and not (t[-1].isalpha() and self.s[self.at + len(t) :][:1].isalpha()):
                self.at += len(t)
                return t
        return ""

    def need(self, text: str) -> None:
        assert self.eat(text), f"{text} expected: {self.s[: self.at]} ⟂ {self.s[self.at :]}"

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self.skip()
        found = pattern.match(self.s, self.at)
        self.at = found.end() if found else self.at
        return found

    def sum(self) -> Value:
        parts = [(-1 if self.eat("-") else 1, self.term())]
        while sign := self.eat("+", "-"):
            parts.append((1 if sign == "+" else -1, self.term()))

        def total(env: Env) -> Any:
            found = [(sign, value(env)) for sign, value in parts]
            return sum(sign * (plain(v)) for sign, v in found) if len(found) > 1 or found[0][0] < 0 else found[0][1]

        return total

    def term(self) -> Value:
        factors = [("*", *self.factor())]
        while True:
            self.skip()
            if sign := self.eat(r"\odot", r"\oslash", r"\cdot", r"\times", "/", r"\bmod"):
                factors.append((sign, *self.factor()))
            elif self.at < len(self.s) and (self.s[self.at] in "([{|«" or self.s[self.at].isalnum() or self.command()):
                factors.append(("*", *self.factor()))
            else:
                return lambda env: product(factors, env)

    def command(self) -> bool:
        stops = (r"\le", r"\ge", r"\ne", r"\rfloor", r"\end", r"\\", r"\land", r"\lor")
        rest = self.s[self.at :]
        return rest[0] == "\\" and not any(rest.startswith(t) and not rest[len(t) : len(t) + 1].isalpha() for t in stops)

    def factor(self) -> tuple[Value, bool]:
        """A factor, and whether it is a bracket: where that is 0, whatever stands beside it does not matter."""
        value, bracket = self.atom()
        while True:
            if self.eat("^{\\top}"):
                value = transposed(value)
            elif self.eat("^"):
                value = raised(value, self.exponent())
            else:
                return value, bracket

    def exponent(self) -> Value:
        if self.eat("{"):
            self.eat(r"\odot")
            found = self.sum()
            self.need("}")
            return found
        self.eat(r"\odot")
        if self.eat("("):
            found = self.sum()
            self.need(")")
            return found
        if digit := self.match(re.compile(r"\d")):
            return constant(float(digit[0]))
        return self.atom()[0]

    def argument(self) -> Value:
        if not self.eat("{"):
            digit = self.match(re.compile(r"\d"))
            assert digit
            return constant(float(digit[0]))
        found = self.sum()
        self.need("}")
        return found

    def atom(self) -> tuple[Value, bool]:
        self.skip()
        if digits := self.match(NUMBER):
            return constant(float(digits[0])), False
        if name := self.match(re.compile("«([^»]*)»")):
            return self.entry(name[1]), False
        if self.eat("("):
            bare = re.compile(r"«([^»]*)»\)(?=_)").match(self.s, self.at)
            if bare:
                self.at = bare.end()
                return self.entry(bare[1]), False
            found = self.sum()
            self.need(")")
            return found, False
        if self.eat("["):
            return self.bracket()
        if self.eat("|"):
            inner = self.sum()
            self.need("|")
            return (lambda env: np.abs(inner(env))), False
        if self.eat("{"):
            return self.cases(";", ",", "}"), False
        if self.eat(r"\begin{cases}"):
            return self.cases(r"\\", "&", r"\end{cases}"), False
        if self.eat(r"\begin{bmatrix}"):
            return self.rows_of_cells(), False
        if self.eat(r"\frac"):
            above, below = self.argument(), self.argument()
            return (lambda env: plain(above(env)) / plain(below(env))), False
        if self.eat(r"\sqrt"):
            inner = self.argument() if self.s[self.at] == "{" else self.atom()[0]
            return (lambda env: np.sqrt(plain(inner(env)))), False
        if self.eat(r"\lfloor"):
            inner = self.sum()
            self.need(r"\rfloor")
            return (lambda env: math.floor(inner(env))), False
        if self.eat(r"\delta"):
            a, b = self.places(2)
            return (lambda env: float(a(env) == b(env))), True
        if self.eat(r"\mathbf 1"):
            return constant(Ones()), False
        if self.eat(r"\mathbf e_", "e_"):
            place = self.one()
            return (lambda env: np.eye(self.rows)[:, [int(place(env)) - self.base]]), False
        if self.eat(r"\infty"):
            return constant(math.inf), False
        if self.eat("nan", r"\mathrm{nan}"):
            return constant(math.nan), False
        if self.eat(r"\pi", "π"):
            return constant(math.pi), False
        if self.eat("e^"):
            power = self.exponent()
            return (lambda env: np.exp(power(env))), False
        if self.eat("I"):
            return constant(np.eye(self.rows)), False
        letter = re.compile(r"[a-z](?![a-z])").match(self.s, self.at)
        if letter:
            self.at += 1
            return self.letter(letter[0]), False
        return self.function(), False

    def letter(self, letter: str) -> Value:
        return lambda env: env[letter]

    def function(self) -> Value:
        word = self.match(WORD)
        assert word, f"{self.s[: self.at]} ⟂ {self.s[self.at :]}"
        name = word[1] or word[2]
        if name == "log" and self.eat(r"\sum"):
            inner = self.total(np.sum)
            return lambda env: np.log(inner(env))
        if name in BIG and self.s[self.at : self.at + 1] != "(":
            return self.total(BIG[name])
        power = self.exponent() if self.eat("^") else None
        self.need("(")
        arguments = [self.sum()]
        while self.eat(","):
            arguments.append(self.sum())
        self.need(")")
        if name == "onehot":
            return lambda env: self.one_hot(arguments[0](env))
        function = BIG[name] if name in BIG else FUNCTIONS[name]
        call: Value = lambda env: function(*(a(env) for a in arguments))  # noqa: E731
        return call if power is None else raised(call, power)

    def one_hot(self, classes: Any) -> Any:
        """A row per class given; as many columns as the matrices with as many rows have."""
        (columns,) = {a.shape[1] for a in self.arrays.values() if a.ndim == 2 and len(a) == np.size(classes)}
        return np.eye(columns)[np.ravel(classes).astype(int)]

    def total(self, combine: Callable[..., Any]) -> Value:
        """A big operator, after its sign: what it runs over, and its body to the end of the term."""
        outer_axes, self.axes = self.axes, {}
        assert self.eat("_{", "_", "["), self.s[self.at :]
        close = {"{": "}", "_": "", "[": "]"}[self.s[self.at - 1]]
        start = self.at
        end = start + 1 if not close else closing(self.s, start - 1)
        inside = self.s[start:end]
        letters = sorted(set(re.sub(r"«[^»]*»|\\[a-z]+|\W|\d", "", inside)) - self.scope)
        self.scope |= set(letters)
        conditions = []
        if RELATION.search(inside):
            conditions = [self.condition()]
            assert self.at == end
        self.at = end + len(close)
        body = self.term()
        ranges = []
        for letter in letters:
            found = self.axes.pop(letter, set()) or {self.lengths[letter]}
            assert len(found) == 1, f"{letter} runs over axes of sizes {found}: {self.s}"
            ranges.append(range(self.base, self.base + found.pop()))
        self.scope -= set(letters)
        for letter, sizes in self.axes.items():
            outer_axes.setdefault(letter, set()).update(sizes)
        self.axes = outer_axes

        def run(env: Env) -> Any:
            places = ({**env, **dict(zip(letters, p, strict=True))} for p in itertools.product(*ranges))
            return combine([body(inner) for inner in places if all(c(inner) for c in conditions)])

        return run

    def entry(self, name: str) -> Value:
        array = self.arrays[name]
        if self.s[self.at : self.at + 1] in ("_", "[") and array.ndim:
            places = self.places(array.ndim, array.shape)

            def read(env: Env) -> Any:
                where = [int(p(env)) - self.base for p in places]
                inside = all(0 <= k < n for k, n in zip(where, array.shape, strict=True))
                return float(array[tuple(where)]) if inside else math.nan

            return read
        return constant(array.reshape(-1, 1) if array.ndim == 1 else array if array.ndim else float(array))

    def places(self, rank: int, shape: tuple[int, ...] = ()) -> list[Value]:
        """The indices after a name."""
        if self.eat("["):
            close = "]"
        else:
            self.need("_")
            close = "}" if self.eat("{") else ""
        start = self.at
        end = start + 1 if not close else closing(self.s, start - 1)
        inside = self.s[start:end]
        separate = "," in inside or rank == 1 or not close
        found = []
        for k in range(rank):
            if not close or not separate:
                self.skip()
                found.append(self.single(self.s[self.at]))
                self.at += 1
            else:
                before = self.at
                found.append(self.sum())
                alone = self.s[before : self.at].strip()
                if len(alone) == 1 and alone.isalpha() and shape:
                    self.axes.setdefault(alone, set()).add(shape[k])
                self.eat(",")
                continue
            if shape and self.s[self.at - 1].isalpha():
                self.axes.setdefault(self.s[self.at - 1], set()).add(shape[k])
        assert self.at == end, f"{self.s}: {inside} for {rank} axes"
        self.at = end + len(close)
        return found

    def one(self) -> Value:
        if not self.eat("{"):
            self.at += 1
            return self.single(self.s[self.at - 1])
        found = self.sum()
        self.need("}")
        return found

    def single(self, c: str) -> Value:
        return constant(float(c)) if c.isdigit() else self.letter(c)

    def bracket(self) -> tuple[Value, bool]:
        depth_end = closing(self.s, self.at - 1)
        inside = self.s[self.at : depth_end]
        if not RELATION.search(inside) and r"\lnot" not in inside:
            return self.listed(), False
        condition = self.condition()
        self.need("]")
        return (lambda env: np.asarray(condition(env), float)), True

    def condition(self) -> Value:
        """A comparison, or a chain of them."""
        if self.eat(r"\lnot"):
            inner = self.sum()
            return lambda env: np.logical_not(inner(env))
        sides, relations = [self.sum()], []
        while relation := self.match(RELATION):
            relations.append(RELATIONS[relation[0]])
            sides.append(self.sum())

        def holds(env: Env) -> Any:
            values = [plain(s(env)) for s in sides]
            pairs = zip(relations, values, values[1:], strict=False)
            return np.logical_and.reduce([r(a, b) for r, a, b in pairs]) if relations else values[0] != 0

        return holds

    def cases(self, between: str, before_condition: str, end: str) -> Value:
        rows = []
        while True:
            value = self.sum()
            self.eat(",")
            self.eat(before_condition)
            rows.append((value, self.condition()))
            if self.eat(end):
                break
            self.need(between)

        def choose(env: Env) -> Any:
            held = [value for value, condition in rows if condition(env)]
            assert len(held) == 1, "of the cases exactly one holds"
            return held[0](env)

        return choose

    def listed(self) -> Value:
        """A list of numbers, a column, or of rows; after its opening bracket."""
        parts = [self.sum()]
        while self.eat(","):
            parts.append(self.sum())
        self.need("]")

        def found(env: Env) -> Any:
            values = [np.asarray(part(env), float) for part in parts]
            return np.array([np.ravel(v) if v.ndim else [v] for v in values])

        return found

    def rows_of_cells(self) -> Value:
        """A matrix, after its beginning."""
        rows = [[self.sum()]]
        while sign := self.eat("&", r"\\"):
            if sign == "&":
                rows[-1].append(self.sum())
            else:
                rows.append([self.sum()])
        self.need(r"\end{bmatrix}")
        return lambda env: np.array([[float(cell(env)) for cell in row] for row in rows])
