"""What a program may say: RestrictedPython's rules, with more of the language than its stock policy and our own reasons.

The tree is walked before anything runs. What leads out of the box is refused with its place; attribute reads, writes and
imports that are allowed go through guards when they run (``guards``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from RestrictedPython import transformer
from RestrictedPython.transformer import INSPECT_ATTRIBUTES, IOPERATOR_TO_STR, RestrictingNodeTransformer, copy_locations

from explain.program.allowed import MODULES, star_names
from explain.program.refusal import Refusal

INTERNAL = re.compile(r"_tmp\d+|_[A-Za-z_]\w*_|_print")
"""Names that the guards go by."""
METHODS = frozenset(
    f"__{name}__"
    for name in (
        "init new call repr str len getitem setitem delitem iter next contains eq ne lt le gt ge hash bool add radd "
        "iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv rfloordiv mod rmod pow rpow matmul rmatmul neg "
        "pos abs invert and or xor enter exit post_init float int index format reversed round getattr setattr set_name get "
        "set missing copy deepcopy init_subclass class_getitem torch_function"
    ).split()
)
"""Special methods that a class may define, and that may be called by name (``super().__init__()``)."""
PLAIN_DUNDERS = frozenset(
    {"__name__", "__doc__", "__all__", "__version__", "__author__", "__slots__", "__match_args__", "__hash__"}
)
"""Special names that a program may use as names of its own."""
READ = METHODS | {"__name__", "__doc__", "__qualname__", "__module__", "__version__", "__notes__"}
"""Special names that may be read as attributes. None may be written."""
OFTEN_FOREIGN = frozenset("obj base ctypes data func array memory node trace version gradient".split())
"""Attributes of exceptions, arrays and tensors that would show in a class of the program's own which passes for theirs."""
BUILTINS = {
    "exec": "runs text as code", "eval": "runs text as code", "compile": "makes code from text",
    "open": "reads and writes files", "input": "waits for somebody to type", "__import__": "imports anything",
    "globals": "shows what lies around the program", "locals": "shows what lies around the program",
    "breakpoint": "waits for somebody to type", "help": "waits for somebody to type", "memoryview": "reads raw memory",
    "exit": "ends the process", "quit": "ends the process", "copyright": "is for a terminal", "license": "is for a terminal",
}  # fmt: skip
"""Names of Python's own that are not there, each with the reason."""


class Policy(RestrictingNodeTransformer):
    """Walks a tree, puts the guards in, and raises Refusal at the first thing that is not allowed."""

    def error(self, node: ast.AST, info: str) -> None:
        """What RestrictedPython itself refuses, where none of our reasons fits better."""
        raise Refusal("not_allowed", node, what=info)

    def not_allowed(self, node: ast.AST) -> None:
        """A statement that is not known."""
        raise Refusal("statement", node, what=type(node).__name__)

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        """Names may begin with an underscore; those of the guards and most special ones are refused."""
        if name is None or " " in name:  # with a space: a name of the instrumentation's, which nobody can write
            return
        if name.startswith("__") and name.endswith("__") and len(name) > 4:
            if not (name in PLAIN_DUNDERS or (allow_magic_methods and name in METHODS)):
                raise Refusal("special_name", node, name=name)
        elif INTERNAL.fullmatch(name):
            raise Refusal("special_name", node, name=name)

    def inject_print_collector(self, node: Any, position: int = 0) -> None:
        """``print`` is an ordinary function here."""

    # names, attributes, calls

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A name; Python's dangerous functions are refused wherever they are named."""
        if isinstance(node.ctx, ast.Load) and node.id in BUILTINS and node.id not in self.assigned:
            raise Refusal("builtin", node, name=node.id, why=BUILTINS[node.id])
        self.check_name(node, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """Reads go through ``_getattr_``, writes through ``_write_``."""
        check_attribute(node, node.attr, written=not isinstance(node.ctx, ast.Load))
        node = self.node_contents_visit(node)
        if isinstance(node.ctx, ast.Load):
            return _call("_getattr_", [node.value, ast.Constant(node.attr)], node)
        node.value = _call("_write_", [node.value, ast.Constant(node.attr)], node)
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        """Calls with stars go through ``_apply_`` as in the stock policy; keyword names are names."""
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg.startswith("__"):
                raise Refusal("special_name", keyword, name=keyword.arg)
        if isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval"):
            self.visit_Name(node.func)
            return self.node_contents_visit(node)
        return super().visit_Call(node)

    # statements

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """``x: int = 1``."""
        return self.node_contents_visit(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        """Inner functions may change what belongs to outer ones."""
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Global(self, node: ast.Global) -> Any:
        """Functions may change what belongs to the program."""
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """``x.a += 1`` and ``x[i] += 1`` are allowed too: one call evaluates each part once."""
        target, operator = node.target, ast.Constant(IOPERATOR_TO_STR[type(node.op)])
        if isinstance(target, ast.Name):
            return super().visit_AugAssign(node)
        value = self.visit(node.value)
        if isinstance(target, ast.Attribute):
            check_attribute(target, target.attr, written=True)
            call = _call("_augattr_", [self.visit(target.value), ast.Constant(target.attr), operator, value], node)
        else:
            call = _call("_augitem_", [self.visit(target.value), self.visit(target.slice), operator, value], node)
        statement = ast.Expr(call)
        copy_locations(statement, node)
        return statement

    def visit_Import(self, node: ast.Import) -> Any:
        """Only modules that are served."""
        for alias in node.names:
            _check_module(alias.name, node)
            self.check_name(node, alias.asname or alias.name.split(".")[0])
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """Only modules that are served; a star stands for all their names."""
        if node.module == "__future__" and not node.level:
            return None
        if node.level:
            raise Refusal("import", node, name="." * node.level + (node.module or ""))
        _check_module(node.module or "", node)
        if any(alias.name == "*" for alias in node.names):
            node.names = [ast.alias(name) for name in star_names(node.module or "")]
        for alias in node.names:
            self.check_name(node, alias.asname or alias.name)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """Classes as Python has them; the only metaclass is ABCMeta."""
        self.check_name(node, node.name)
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and ast.unparse(keyword.value).split(".")[-1] != "ABCMeta":
                raise Refusal("metaclass", keyword.value)
        return self.node_contents_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        """``except … as name``."""
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    # match statements

    def _inside(self, node: Any) -> Any:
        return self.node_contents_visit(node)

    visit_Match = visit_match_case = visit_MatchValue = _inside
    visit_MatchSingleton = visit_MatchSequence = visit_MatchOr = _inside

    def visit_MatchMapping(self, node: ast.MatchMapping) -> Any:
        """``{"a": x, **rest}``."""
        self.check_name(node, node.rest)
        return self.node_contents_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> Any:
        """``*rest``."""
        self.check_name(node, node.name)
        return node

    def visit_MatchAs(self, node: ast.MatchAs) -> Any:
        """``pattern as name``."""
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        """``Point(x=0)`` reads attributes, past the guard: only public ones, of a class of the program's own."""
        if node.kwd_attrs and not (isinstance(node.cls, ast.Name) and node.cls.id in self.assigned):
            raise Refusal("not_allowed", node, what="Patterns with attributes are for classes of the program's own.")
        for name in node.kwd_attrs:
            check_attribute(node, name)
            if name.startswith("_") or name in OFTEN_FOREIGN:
                raise Refusal("attribute", node, name=name)
        return self.node_contents_visit(node)

    @property
    def assigned(self) -> frozenset[str]:
        """Names that the program itself gives a meaning."""
        return self._assigned

    def restrict(self, tree: ast.Module) -> ast.Module:
        """The tree with its guards. Raises Refusal."""
        self._assigned = frozenset(_assigned(tree))
        found = self.visit(tree)
        ast.fix_missing_locations(found)
        return found


def check_attribute(node: ast.AST | None, name: str, written: bool = False) -> None:
    """Raise Refusal for an attribute that no object may be asked for, or that none may be given."""
    if name.startswith("__") and name.endswith("__") and (written or name not in READ):
        raise Refusal("attribute", node, name=name)
    if name in INSPECT_ATTRIBUTES or name.endswith("__roles__"):
        raise Refusal("attribute", node, name=name)


def _check_module(name: str, node: ast.AST) -> None:
    if name not in MODULES:
        raise Refusal("torch_module" if name.startswith("torch.") else "import", node, name=name)


def _call(name: str, arguments: list[Any], node: Any) -> ast.Call:
    call = ast.Call(ast.Name(name, ast.Load()), arguments, [])
    copy_locations(call, node)
    return call


def _assigned(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg


del transformer
