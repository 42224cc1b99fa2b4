"""A program's tree made to tell what it does: what each value is called, what stands alone on a line, how often loops run
and which branches are taken.

All that is put in are calls of one object, under a name that nobody can write.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

WITNESS = "the witness"
"""The name of the object that is told; it has a space in it, so a program can neither read nor write it."""


@dataclass(frozen=True)
class Construct:
    """A loop or a branch (``kind``), its lines, of a branch the condition as ``code``. ``binds``: what it decides is more
    than what is printed."""

    kind: str
    line: int
    end: int
    code: str
    binds: bool

    def holds(self, line: int) -> bool:
        """Whether a line stands in it."""
        return self.line <= line <= self.end


def instrumented(tree: ast.Module, code: str, echo: bool = True) -> tuple[ast.Module, tuple[Construct, ...]]:
    """The tree with calls of the witness's ``bound``, ``echo``, ``loop`` and ``branch``, and the loops and branches that
    these are told of by their number. ``code``: what the tree was parsed from."""
    visitor = _Instrument(code, echo)
    made = visitor.visit(tree)
    ast.fix_missing_locations(made)
    return made, tuple(visitor.constructs)


class _Instrument(ast.NodeTransformer):
    def __init__(self, code: str, echo: bool) -> None:
        self.code = code
        self.echo = echo
        self.constructs: list[Construct] = []

    # what stands at the top

    def visit_Module(self, node: ast.Module) -> ast.Module:
        body: list[ast.stmt] = []
        for statement in node.body:
            if self.echo and isinstance(statement, ast.Expr):
                value = self.visit(statement.value)
                called = _call(
                    "echo", [value, ast.Constant(statement.lineno), ast.Constant(statement.end_lineno)], statement
                )
                body.append(_located(ast.Expr(called), statement))
            else:
                body += _listed(self.visit(statement))
        node.body = body
        return node

    # bindings

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        self.generic_visit(node)
        return [node, *self._told(node.targets, node)]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        self.generic_visit(node)
        return [node, *(self._told([node.target], node) if node.value is not None else [])]

    def visit_AugAssign(self, node: ast.AugAssign) -> list[ast.stmt]:
        self.generic_visit(node)
        return [node, *self._told([node.target], node)]

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.NamedExpr:
        self.generic_visit(node)
        node.value = _call("named", [ast.Constant(node.target.id), node.value], node.value)
        return node

    def visit_With(self, node: ast.With) -> ast.With:
        self.generic_visit(node)
        targets = [item.optional_vars for item in node.items if item.optional_vars is not None]
        node.body = [*self._told(targets, node), *node.body]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        arguments = node.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        special = node.name.startswith("__") and node.name not in ("__init__", "__call__")
        first = 1 if len(node.body) > 1 and isinstance(node.body[0], ast.Expr) and _is_text(node.body[0].value) else 0
        at = node.body[first]
        told: list[ast.stmt] = [_bound(name, at) for name in names if name not in ("self", "cls", "ctx") and not special]
        node.body = [*node.body[:first], *told, *node.body[first:]]
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self.generic_visit(node)
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        if names:
            told = [_call("bound", [ast.Constant(name), _located(ast.Name(name, ast.Load()), node)], node) for name in names]
            both = _located(ast.Tuple([*told, node.body], ast.Load()), node.body)
            node.body = _located(ast.Subscript(both, ast.Constant(-1), ast.Load()), node.body)
        return node

    def _told(self, targets: list[Any], node: ast.stmt) -> list[ast.stmt]:
        """Calls that tell what every name in the targets stands for now."""
        found: list[ast.stmt] = []
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id != "_":
                    found.append(_bound(part.id, node))
            if isinstance(target, ast.Attribute):
                value = _located(ast.Attribute(_reading(target.value), target.attr, ast.Load()), node)
                if _is_simple(target.value):
                    found.append(_located(ast.Expr(_call("bound", [ast.Constant(target.attr), value], node)), node))
        return found

    # loops and branches

    def visit_For(self, node: ast.For) -> list[ast.stmt]:
        number = self._number("loop", node)
        self.generic_visit(node)
        node.body = [*self._told([node.target], node), *node.body]
        return self._counted(node, number)

    def visit_While(self, node: ast.While) -> list[ast.stmt]:
        number = self._number("loop", node)
        self.generic_visit(node)
        return self._counted(node, number)

    def _counted(self, node: ast.For | ast.While, number: int) -> list[ast.stmt]:
        name = f"loop {number}"
        start = ast.Assign([ast.Name(name, ast.Store())], _call("loop", [ast.Constant(number)], node))
        tick = ast.Expr(ast.Call(ast.Name(name, ast.Load()), [], []))
        node.body = [_located(tick, node), *node.body]
        return [_located(start, node), node]

    def visit_If(self, node: ast.If) -> ast.If:
        number = self._number("branch", node)
        self.generic_visit(node)
        node.test = _call("branch", [ast.Constant(number), node.test], node.test)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.IfExp:
        number = self._number("branch", node)
        self.generic_visit(node)
        node.test = _call("branch", [ast.Constant(number), node.test], node.test)
        return node

    def _number(self, kind: str, node: ast.For | ast.While | ast.If | ast.IfExp) -> int:
        test = None if isinstance(node, ast.For) else node.test
        code = " ".join((ast.get_source_segment(self.code, test) or "").split()) if test is not None else ""
        binds = isinstance(node, ast.IfExp) or any(
            isinstance(part, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return | ast.NamedExpr)
            for statement in (*node.body, *node.orelse)
            for part in ast.walk(statement)
        )
        self.constructs.append(Construct(kind, node.lineno, node.end_lineno or node.lineno, code, binds))
        return len(self.constructs) - 1


def _bound(name: str, node: ast.AST) -> ast.stmt:
    return _located(ast.Expr(_call("bound", [ast.Constant(name), ast.Name(name, ast.Load())], node)), node)


def _call(what: str, arguments: list[Any], node: Any) -> Any:
    name = f"{WITNESS}.{what}"  # one name per call: no attribute that a guard would have to read
    return _located(ast.Call(ast.Name(name, ast.Load()), arguments, []), node)


def _located(new: Any, node: Any) -> Any:
    ast.copy_location(new, node)
    for child in ast.iter_child_nodes(new):
        if not hasattr(child, "lineno"):
            ast.copy_location(child, node)
    return ast.fix_missing_locations(new)


def _listed(found: Any) -> list[ast.stmt]:
    return found if isinstance(found, list) else [found] if found is not None else []


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_simple(node: ast.expr) -> bool:
    """``self``, ``a.b``: reading it again does nothing."""
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_simple(node.value))


def _reading(node: Any) -> Any:
    if isinstance(node, ast.Name):
        return ast.copy_location(ast.Name(node.id, ast.Load()), node)
    return ast.copy_location(ast.Attribute(_reading(node.value), node.attr, ast.Load()), node)
