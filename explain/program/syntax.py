"""Why a text is not one expression, in our own words: the first thing that stands in the way, with its place.

Asked only after Python's parser gave up, so each rule may assume that something is wrong, and the plainest cause wins.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from explain.errors import InputError, Place

FOREIGN = {
    "×": "*", "⋅": "*", "∙": "*", "∗": "*", "⊙": "*", "∘": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "—": "-",
    "“": '"', "”": '"', "‘": "'", "’": "'", "、": ",", "。": ".", "【": "[", "】": "]", "≤": "<=", "≥": ">=", "≠": "!=",
    "²": "**2", "³": "**3", "¹": "**1", "⁻": "**-1, or inv(A) for a matrix", "⊤": ".T", "√": "sqrt(…)", "∑": "sum(…)",
    "∏": "prod(…)", "∞": "inf", "‖": "norm(…)", "→": "->", "½": "1/2",
}  # fmt: skip
HINTS = {
    "^": "Powers are written with **, such as x**2",
    "$": "Leave the $ out: this is a program's expression, not LaTeX",
    "\\": "LaTeX is not read here: write sqrt(x), sum(x), A.T",
    "!": "Write what it stands for: != compares, prod(…) multiplies",
    "?": "Write where(condition, a, b) to choose by a condition",
}
RUN = "Give a program of several lines to: explain run FILE"
AROUND = "Put parentheses around an expression of several lines"
MULTIPLY = "Products are written with *, such as 2*x"

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\\\n)
    |(?P<newline>\n)
    |(?P<comment>\#[^\n]*)
    |(?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?[jJ]?)
    |(?P<string>[rRbBuUfF]{0,2}(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<quote>['"])
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>\*\*|//|==|!=|<=|>=|<<|>>|:=|->|\.\.\.|[-+*/@%&|^~<>=()\[\]{},:.;])
    |(?P<other>.)""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_CONTINUES = frozenset({"+", "-", "*", "/", "**", "@", "%", "&", "<", "<=", ">", ">=", "==", "!=", "."})
_OPENING = {"(": ")", "[": "]", "{": "}"}
_INSIDE = {"None", "True", "False", "not", "lambda", "await", "yield", "and", "or", "in", "is", "if", "else"}
_STATEMENTS = frozenset(keyword.kwlist) - _INSIDE | {"print"}


@dataclass(frozen=True)
class Token:
    """A word of the text: ``kind`` is a group of the pattern above, ``start`` an offset into the piece."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset behind the last character."""
        return self.start + len(self.text)

    @property
    def ends_operand(self) -> bool:
        """A value may end here."""
        return self.kind in ("number", "string", "name") or self.text in (")", "]", "}", "...")

    @property
    def begins_operand(self) -> bool:
        """A value begins here, and nothing else can."""
        return self.kind in ("number", "string", "name")


@dataclass(frozen=True)
class Fault:
    """What is wrong with the piece, between which offsets, and what would work."""

    message: str
    start: int
    end: int
    hint: str | None = None


def diagnose(text: str, start: int, piece: str, source: str, error: SyntaxError) -> InputError:
    """The InputError for a ``piece`` of ``text``, beginning at ``start``, that Python refused with ``error``."""
    words = _tokens(piece)
    if not any(token.kind != "newline" for token in words):
        return InputError("there is only a comment", Place(text, start, start + len(piece), source))
    for find in _CAUSES:
        fault = find(words, source)
        if fault is not None:
            break
    else:
        fault = _as_python_says(piece, error)
    place = Place(text, start + fault.start, start + fault.end, source)
    return InputError(fault.message, place if fault.end > fault.start else None, fault.hint)


def _tokens(piece: str) -> list[Token]:
    found: list[Token] = []
    position = 0
    while position < len(piece):
        match = _TOKEN.match(piece, position)
        assert match is not None and match.lastgroup is not None
        kind, text = match.lastgroup, match.group()
        if kind == "name" or text.isidentifier():  # the pattern stops at the first letter of another script
            end = position + len(text)
            while end < len(piece) and ("a" + piece[end]).isidentifier():
                end += 1
            kind, text = "name", piece[position:end]
        if kind not in ("space", "comment"):
            found.append(Token(kind, text, position))
        position += len(text)
    return found


def _foreign(words: list[Token], source: str) -> Fault | None:
    for token in words:
        if token.kind != "other":
            continue
        sign = token.text
        plain = FOREIGN.get(sign) or unicodedata.normalize("NFKC", sign)
        if sign in FOREIGN or (plain != sign and plain.isascii()):
            return Fault(f"the character {sign} is not read", token.start, token.end, f"Write {plain} instead of {sign}")
        return Fault(f"the character {sign} is not read", token.start, token.end, HINTS.get(sign))
    return None


def _open_string(words: list[Token], source: str) -> Fault | None:
    for before, token in pairwise([Token("sign", "", 0), *words]):
        if token.kind == "quote":
            transposed = before.ends_operand and before.end == token.start and token.text == "'"
            hint = f"A transpose is written {before.text if before.kind == 'name' else 'A'}.T" if transposed else None
            return Fault("this quote is never closed", token.start, token.end, hint)
    return None


def _statement(words: list[Token], source: str) -> Fault | None:
    first = words[0]
    if first.text in _STATEMENTS and source == "expression":
        return Fault(f"a line that begins with '{first.text}' is a program, not one expression", first.start, first.end, RUN)
    return None


def _brackets(words: list[Token], source: str) -> Fault | None:
    opened: list[Token] = []
    for token in words:
        if token.kind != "sign":
            continue
        if token.text in _OPENING:
            opened.append(token)
            if len(opened) >= 200:
                return Fault("parentheses are nested 200 deep", 0, 0, RUN)
        elif token.text in _OPENING.values():
            if not opened:
                return Fault(f"nothing was opened that this '{token.text}' closes", token.start, token.end)
            wanted = _OPENING[opened[-1].text]
            if token.text != wanted:
                return Fault(
                    f"'{token.text}' stands where '{opened[-1].text}' waits for its '{wanted}'", token.start, token.end
                )
            opened.pop()
    if opened:
        token = opened[-1]
        return Fault(f"this '{token.text}' is never closed", token.start, token.end, f"Add a '{_OPENING[token.text]}'")
    return None


def _several(words: list[Token], source: str) -> Fault | None:
    """Newlines, semicolons, and = outside all brackets."""
    depth = 0
    nothing = Token("sign", "", 0)
    for before, token, after in zip([nothing, *words], words, [*words[1:], nothing], strict=False):
        if token.text in _OPENING:
            depth += 1
        elif token.text in _OPENING.values():
            depth -= 1
        elif depth:
            continue
        elif token.kind == "newline" or token.text == ";":
            if source != "expression":
                return Fault("one value at a time", token.start, token.end, "Give each name its own option")
            if token.kind == "newline" and (not before.ends_operand or after.text in _CONTINUES):
                return Fault("the line ends in the middle of the expression", token.start, token.end, AROUND)
            return Fault("this is a program of several statements, not one expression", token.start, token.end, RUN)
        elif token.text in ("=", ":="):
            return _assignment(words, before, token, source)
    return None


def _assignment(words: list[Token], before: Token, token: Token, source: str) -> Fault:
    if source != "expression":
        return Fault("a value holds no '='", token.start, token.end, "Give each name its own option")
    if before is words[0] and before.kind == "name":
        hint = f'Write only what stands on the right; give values by --at "{before.text}=…"'
    else:
        hint = 'Values are given by --at, such as --at "x=[1, 2]"; == compares'
    return Fault(f"'{token.text}' assigns, and an expression assigns nothing", token.start, token.end, hint)


def _side_by_side(words: list[Token], source: str) -> Fault | None:
    for left, right in pairwise(words):
        if not (left.ends_operand and right.begins_operand):
            continue
        if keyword.iskeyword(left.text) or keyword.iskeyword(right.text):
            continue
        if left.kind == "number" and right.kind == "name" and left.end == right.start:
            both = left.text + right.text
            return Fault(f"{both} needs a *", left.start, right.end, f"Write {left.text}*{right.text}")
        hint = "Separate the entries by commas" if source != "expression" else MULTIPLY
        return Fault(f"between '{left.text}' and '{right.text}' an operator is missing", right.start, right.end, hint)
    return None


def _bars(token: Token) -> str | None:
    """What to write where a bar was drawn as on paper."""
    return "|x| is written abs(x), ‖x‖ is norm(x)" if token.text == "|" else None


def _gap(words: list[Token], source: str) -> Fault | None:
    """An operator or a comma without what belongs beside it."""
    wants = {"+", "-", "*", "/", "**", "//", "@", "%", "&", "|", "^", "~", "<", "<=", ">", ">=", "==", "!=", ".", "="}
    binary = wants - {"+", "-", "~", "*", "**"}
    words = [token for token in words if token.kind != "newline"]
    last = words[-1]
    if last.text in wants:
        return Fault(f"after '{last.text}' something is missing", last.start, last.end, _bars(last))
    if words[0].text in binary | {"*", "**", ",", ")", "]"}:
        return Fault(f"before '{words[0].text}' something is missing", words[0].start, words[0].end, _bars(words[0]))
    for left, right in pairwise(words):
        if left.text in wants and (right.text in binary | {"*", "**", ")", "]", "}", ","}):
            hint = _bars(left) or _bars(right)
            return Fault(f"between '{left.text}' and '{right.text}' something is missing", left.start, right.end, hint)
        if left.text in ("(", "[", ",") and right.text in binary | {","}:
            return Fault(f"before '{right.text}' something is missing", right.start, right.end, _bars(right))
    return None


_CAUSES: tuple[Callable[[list[Token], str], Fault | None], ...] = (
    _foreign, _open_string, _statement, _brackets, _several, _side_by_side, _gap,
)  # fmt: skip


def _as_python_says(piece: str, error: SyntaxError) -> Fault:
    lines = piece.split("\n")
    line = min(max(error.lineno or 1, 1), len(lines))
    before = sum(len(earlier) + 1 for earlier in lines[: line - 1])
    start = before + min(max((error.offset or 1) - 1, 0), max(len(lines[line - 1]) - 1, 0))
    words = error.msg
    if "integer string conversion" in words:
        return Fault(
            "a whole number of thousands of digits is too long",
            0,
            0,
            "Write large numbers with an exponent, such as 1e20",
        )
    if "follows keyword argument" in words:
        return Fault(
            "a plain argument stands behind a named one", start, start + 1, "Named options come last: sum(x, dim=0)"
        )
    if "leading zeros" in words:
        return Fault("a number cannot begin with 0", start, start + 1)
    if "'else'" in words:
        return Fault("a choice by if … else is not part of expressions", start, start + 1, "Write where(condition, a, b)")
    return Fault(f"this cannot be read ({words})", start, start + 1)
