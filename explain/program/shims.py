"""Stand-ins for what programs import and a derivation does not need: progress bars and pictures do nothing, with a note."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_PICTURES = """
plot figure subplots subplot show savefig xlabel ylabel title legend scatter imshow hist bar grid axis xlim
ylim close tight_layout semilogy loglog semilogx axhline axvline fill_between contour contourf colorbar style
rcParams rc use cm gca gcf text annotate suptitle errorbar pause ion ioff plt quiver clf cla xticks yticks
"""

inert: list[str] = []
"""Names of modules that did nothing in this run, in the order of their first use."""


def _noted(module: str) -> None:
    if module not in inert:
        inert.append(module)


class tqdm:
    """A progress bar that shows nothing and hands on what it is given."""

    def __init__(self, iterable: Any = None, *args: Any, **options: Any) -> None:
        self.iterable = iterable
        self.total = options.get("total")
        self.n = 0

    def __iter__(self) -> Iterator[Any]:
        return iter(self.iterable)

    def __len__(self) -> int:
        return len(self.iterable)

    def __enter__(self) -> tqdm:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def update(self, n: int = 1) -> None:
        """Count on."""
        self.n += n

    def set_description(self, *args: Any, **options: Any) -> None:
        """Nothing is shown."""

    set_postfix = set_postfix_str = set_description_str = refresh = close = reset = set_description

    @staticmethod
    def write(text: str, *args: Any, **options: Any) -> None:
        """Printed like anything else."""
        print(text)


def trange(*args: Any, **options: Any) -> tqdm:
    """A progress bar over a range."""
    return tqdm(range(*args))


class Inert:
    """Takes every call and every attribute and gives itself: what draws pictures."""

    def __init__(self, module: str) -> None:
        vars(self)["_module"] = module

    def __call__(self, *args: Any, **options: Any) -> Inert:
        _noted(vars(self)["_module"])
        return self

    def __getattr__(self, name: str) -> Inert:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        return None

    def __getitem__(self, index: Any) -> Inert:
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        return None

    def __iter__(self) -> Iterator[Inert]:
        return iter((self, self))  # fig, ax = plt.subplots()

    def __enter__(self) -> Inert:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def contents(name: str) -> dict[str, Any]:
    """What a program finds in a module that has a stand-in."""
    if name.startswith("tqdm"):
        return {"tqdm": tqdm, "trange": trange}
    if name == "functorch":
        from explain.program.allowed import facade

        return {k: v for k, v in vars(facade("torch.func")).items() if not k.startswith("_")}
    if name == "IPython.display":
        return {
            "display": print,
            "clear_output": lambda *a, **k: None,
            "Markdown": str,
            "Math": str,
            "Latex": str,
            "HTML": str,
        }
    picture = Inert("matplotlib")
    return dict.fromkeys(_PICTURES.split(), picture)
