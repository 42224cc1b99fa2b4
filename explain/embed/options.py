"""The one table of options: what a fence, a directive, a magic or the command line may say of a block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from explain.embed.place import BlockError, Where

SWITCH = ("true", "false")


@dataclass(frozen=True)
class Option:
    """One option. ``choices``: the only values it takes; ``several``: it may be given more than once; ``words``: what it is
    for."""

    words: str
    choices: tuple[str, ...] = ()
    several: bool = False


OPTIONS: dict[str, Option] = {
    "at": Option("the value of a name: x=[1, 2]", several=True),
    "shape": Option("symbolic sizes of a name: A=m,n", several=True),
    "v": Option("the cotangent that is sent back"),
    "wrt": Option("the names to differentiate by", several=True),
    "of": Option("the result to derive, where the program calls no backward"),
    "backward": Option("the number of the only call to derive"),
    "detail": Option("how much each step says", ("brief", "normal", "full")),
    "show": Option("only a part", ("all", "answer", "steps", "graph")),
    "lang": Option("the language of the sentences", ("en", "zh")),
    "index-base": Option("what indices are counted from", ("0", "1")),
    "name": Option("what this block is called"),
    "after": Option("the block that this one continues"),
    "expect-error": Option("the program raises, or the very exception that it raises"),
    "claim": Option("a formula that is checked: out wrt x = 2*x", several=True),
}
LOOKS = ("detail", "show", "lang", "index-base")
"""Options that change how a derivation is shown, not what it is."""

Options = Mapping[str, tuple[str, ...]]


def read_options(pairs: Iterable[tuple[str, str]], where: Where) -> dict[str, tuple[str, ...]]:
    """Options as (name, value) pairs, checked. ``where``: their line, for messages. Raises BlockError that lists the known
    ones for an unknown option, and the choices for a value that is none of them."""
    found: dict[str, tuple[str, ...]] = {}
    for written, value in pairs:
        name = written.strip().replace("_", "-")
        option = OPTIONS.get(name)
        if option is None:
            near = get_close_matches(name, OPTIONS, 1)
            hint = f"did you mean '{near[0]}'?" if near else None
            raise BlockError(where, f"there is no option '{written}'; there are: {', '.join(OPTIONS)}", hint=hint)
        value = value.strip()
        if not value:
            if name != "expect-error":
                raise BlockError(where, f"the option '{name}' has no value: {option.words}")
            value = "true"
        if option.choices and value not in option.choices:
            raise BlockError(where, f"{name} is {' or '.join(option.choices)}, not '{value}'")
        if name == "backward" and not value.isdigit():
            raise BlockError(where, f"backward is a number, not '{value}'")
        if name in found and not option.several:
            raise BlockError(where, f"the option '{name}' is given twice")
        found[name] = (*found.get(name, ()), value)
    return found
