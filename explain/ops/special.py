"""Entrywise special functions: the error function and its relatives, gamma functions, Bessel functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops import special_values as values
from explain.ops.base import NoMatch, Sample, numpy_dtype
from explain.ops.entrywise import ALONE, POSITIVE, Elementwise, by_number, elementwise
from explain.ops.special_values import in_own_dtype

ONE = (Sample(((3,),)),)

# the error function and the normal distribution


def _bell(xp: Any, x: Any) -> Any:
    return xp.exp(-(x * x))


elementwise(
    "erf",
    in_own_dtype(values.erf),
    lambda xp, g, y, x: g * (_bell(xp, x) * (2 / math.sqrt(math.pi))),
    slopes=lambda s, y, x: 2 * s.function("exp", -(x**2)) / s.pi ** s.number(0.5),
    uses="x",
    functions=("erf", "special.erf"),
    methods=("erf",),
    promotion="float",
    rule="erf",
    samples=ALONE,
)
elementwise(
    "erfc",
    in_own_dtype(values.erfc),
    lambda xp, g, y, x: -g * (_bell(xp, x) * (2 / math.sqrt(math.pi))),
    slopes=lambda s, y, x: -2 * s.function("exp", -(x**2)) / s.pi ** s.number(0.5),
    uses="x",
    functions=("erfc", "special.erfc"),
    methods=("erfc",),
    promotion="float",
    rule="erfc",
    samples=ONE,
)
elementwise(
    "erfinv",
    in_own_dtype(values.erfinv),
    lambda xp, g, y, x: g * (xp.exp(xp.square(xp.erfinv(x))) * (math.sqrt(math.pi) / 2)),
    slopes=lambda s, y, x: s.pi ** s.number(0.5) * s.function("exp", y**2) / 2,
    uses="x",
    functions=("erfinv", "special.erfinv"),
    methods=("erfinv",),
    promotion="float",
    latex=r"\operatorname{erf}^{-1}",
    domain=(-0.9, 0.9),
    special={"pole": lambda x: np.abs(x) >= 1},
    rule="erfinv",
    samples=ONE,
)
elementwise(
    "erfcx",
    in_own_dtype(values.erfcx),
    lambda xp, g, y, x: g * (2 * x * y - 2 / math.sqrt(math.pi)),
    definition=lambda s, x: s.known("exp", x**2) * s.known("erfc", x),
    slopes=lambda s, y, x: 2 * x * y - 2 / s.pi ** s.number(0.5),
    uses="x y",
    functions=("special.erfcx",),
    promotion="float",
    grad_fn="SpecialErfcxBackward0",
    rule="product_of_functions",
    samples=ONE,
)
elementwise(
    "ndtr",
    in_own_dtype(values.ndtr),
    lambda xp, g, y, x: g * (xp.exp(x * x / -2) / math.sqrt(2 * math.pi)),
    definition=lambda s, x: (1 + s.known("erf", x / s.number(2) ** s.number(0.5))) / 2,
    slopes=lambda s, y, x: s.function("exp", -(x**2) / 2) / (2 * s.pi) ** s.number(0.5),
    uses="x",
    functions=("special.ndtr",),
    promotion="float",
    latex=r"\Phi",
    grad_fn="MulBackward1",
    rule="ndtr",
    samples=ONE,
)
elementwise(
    "ndtri",
    in_own_dtype(values.ndtri),
    lambda xp, g, y, x: g * (xp.exp(y * y / 2) * math.sqrt(2 * math.pi)),
    definition=lambda s, x: s.number(2) ** s.number(0.5) * s.known("erfinv", 2 * x - 1),
    slopes=lambda s, y, x: (2 * s.pi) ** s.number(0.5) * s.function("exp", y**2 / 2),
    uses="y",
    functions=("special.ndtri",),
    promotion="float",
    latex=r"\Phi^{-1}",
    grad_fn="SpecialNdtriBackward0",
    domain=(0.1, 0.9),
    special={"pole": lambda x: (x <= 0) | (x >= 1)},
    rule="ndtri",
    samples=ONE,
)
elementwise(
    "log_ndtr",
    in_own_dtype(values.log_ndtr),
    lambda xp, g, y, x: g * math.sqrt(2 / math.pi) / xp.erfcx(x * -math.sqrt(0.5)),
    definition=lambda s, x: s.known("log", (1 + s.known("erf", x / s.number(2) ** s.number(0.5))) / 2),
    slopes=lambda s, y, x: s.function("exp", -(x**2) / 2 - y) / (2 * s.pi) ** s.number(0.5),
    uses="x",
    functions=("special.log_ndtr",),
    promotion="float",
    latex=r"\log\Phi",
    grad_fn="SpecialLogNdtrBackward0",
    rule="log_ndtr",
    samples=ONE,
)

# gamma functions


class _Polygamma(Elementwise):
    """torch.polygamma takes the order first, the method after the tensor."""

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args and isinstance(args[0], int):
            args, kwargs = args[1:], {"n": args[0], **kwargs}
        ins, options = super().bind(*args, **kwargs)
        if not isinstance(options["n"], int):
            raise NoMatch("polygamma(): argument 'n' must be int")
        if options["n"] < 0:
            raise RuntimeError("polygamma(n, x) does not support negative n.")
        return ins, options


def _whole_or_negative(x: Any) -> Any:
    """The poles of the gamma function."""
    return (x <= 0) & (x == np.floor(x))


elementwise(
    "lgamma",
    in_own_dtype(values.lgamma),
    lambda xp, g, y, x: g * xp.digamma(x),
    definition=lambda s, x: s.known("loggamma", x),
    slopes=lambda s, y, x: s.function("digamma", x),
    uses="x",
    functions=("lgamma", "special.gammaln"),
    methods=("lgamma",),
    promotion="float",
    domain=POSITIVE,
    latex=r"\log\Gamma",
    special={"pole": _whole_or_negative},
    rule="lgamma",
    samples=ONE,
)
elementwise(
    "digamma",
    in_own_dtype(values.digamma),
    lambda xp, g, y, x: g * xp.polygamma(x, n=1),
    slopes=lambda s, y, x: s.function("polygamma", x, n=1),
    uses="x",
    functions=("digamma", "special.digamma", "special.psi"),
    methods=("digamma",),
    promotion="float",
    domain=POSITIVE,
    latex=r"\psi",
    special={"pole": _whole_or_negative},
    rule="digamma",
    samples=ONE,
)
elementwise(
    "polygamma",
    lambda x, *, n: in_own_dtype(lambda t: values.polygamma(int(n), t))(x),
    lambda xp, g, y, x, n: g * xp.polygamma(x, n=int(n) + 1),
    definition=lambda s, x, n: s.known("polygamma", n, x),
    slopes=lambda s, y, x, n: s.function("polygamma", x, n=n + 1),
    uses="x",
    functions=("polygamma", "special.polygamma"),
    methods=("polygamma",),
    promotion="float",
    form=_Polygamma,
    domain=(0.6, 2.5),
    special={"pole": lambda x, n: _whole_or_negative(x)},
    rule="polygamma",
    samples=(Sample(((3,),), {"n": 1}), Sample(((),), {"n": 2})),
)


def _multigamma(x: Any, *, p: int) -> Any:
    if np.any(x <= (p - 1) / 2):
        raise RuntimeError("All elements must be greater than (p-1)/2")
    steps = np.arange(p) / 2
    total = in_own_dtype(lambda t: values.lgamma(t[..., None] - steps).sum(-1))(x)
    return total + x.dtype.type(p * (p - 1) / 4 * math.log(math.pi))


elementwise(
    "mvlgamma",
    _multigamma,
    lambda xp, g, y, x, p: g * sum(xp.digamma(x - j / 2) for j in range(p)),
    formula=lambda s, x, p: sum(
        (s.function("lgamma", x - s.number(j) / 2) for j in range(p)), s.function("log", s.pi) * p * (p - 1) / 4
    ),
    uses="x",
    functions=("mvlgamma", "special.multigammaln"),
    methods=("mvlgamma",),
    promotion="float",
    domain=(1.2, 3.0),
    rule="mvlgamma",
    samples=(Sample(((3,),), {"p": 2}),),
)


def _zeta_rule(xp: Any, g: Any, y: Any, s: Any, q: Any) -> Any:
    return g * xp.to(-s, dtype=numpy_dtype(q)) * xp.zeta(s + 1, q)


def _no_zeta_rule(xp: Any, g: Any, y: Any, s: Any, q: Any) -> Any:
    raise NotImplementedError("the derivative for 'zeta' is not implemented.")


elementwise(
    "zeta",
    lambda s, q: np.asarray(values.zeta(np.asarray(s, np.float64), np.asarray(q, np.float64))).astype(q.dtype)[()],
    (_no_zeta_rule, _zeta_rule),
    slopes=(None, lambda s, y, x, q: -x * s.function("zeta", x + 1, q)),
    uses=("", "s q"),
    functions=("special.zeta",),
    promotion="float",
    reads_values=(0,),
    latex=r"\zeta",
    grad_fn_of=by_number("SpecialZetaBackward0", first="SpecialZetaBackward1", last="SpecialZetaBackward2"),
    domain=(1.5, 4.0),
    special={"pole": lambda s, q: _whole_or_negative(q)},
    rule="zeta",
    samples=(Sample((np.array([2, 3]), (2,))), Sample((np.array(2), (3,)))),
)

# Bessel functions


def _slope_of_first(xp: Any, zeroth: Any, quotient: Any, x: Any) -> Any:
    """The derivative of a Bessel function of order 1, whose limit at 0 is a half."""
    return xp.where(xp.abs(x) > np.finfo(np.float64).eps, zeroth - quotient, 0.5)


def _apart(xp: Any, x: Any) -> Any:
    """x, with 1 in place of 0 to divide by."""
    return xp.where(x == 0, 1.0, x)


elementwise(
    "i0",
    in_own_dtype(lambda x: values.bessel(0, x)),
    lambda xp, g, y, x: g * xp.i1(x),
    definition=lambda s, x: s.known("besseli", 0, x),
    slopes=lambda s, y, x: s.function("i1", x),
    uses="x",
    functions=("i0", "special.i0"),
    methods=("i0",),
    promotion="float",
    latex="I_0",
    grad_fn="I0Backward0",
    rule="bessel",
    samples=ONE,
)
elementwise(
    "i1",
    in_own_dtype(lambda x: values.bessel(1, x)),
    lambda xp, g, y, x: g * _slope_of_first(xp, xp.i0(x), y / _apart(xp, x), x),
    definition=lambda s, x: s.known("besseli", 1, x),
    slopes=lambda s, y, x: s.where(s.equal(x, 0), s.number(0.5), s.function("i0", x) - y / x),
    uses="x y",
    functions=("special.i1",),
    promotion="float",
    latex="I_1",
    grad_fn="SpecialI1Backward0",
    rule="bessel",
    samples=ONE,
)
elementwise(
    "i0e",
    in_own_dtype(lambda x: values.bessel_scaled(0, x)),
    lambda xp, g, y, x: g * (xp.i1e(x) - xp.sign(x) * y),
    definition=lambda s, x: s.known("exp", -s.known("Abs", x)) * s.known("besseli", 0, x),
    slopes=lambda s, y, x: s.function("i1e", x) - s.function("sign", x) * y,
    uses="x y",
    functions=("special.i0e",),
    promotion="float",
    grad_fn="SpecialI0EBackward0",
    special={"kink": lambda x: x == 0},
    rule="bessel",
    samples=ONE,
)
elementwise(
    "i1e",
    in_own_dtype(lambda x: values.bessel_scaled(1, x)),
    lambda xp, g, y, x: g * _slope_of_first(xp, xp.i0e(x), y * (xp.sign(x) + 1 / _apart(xp, x)), x),
    definition=lambda s, x: s.known("exp", -s.known("Abs", x)) * s.known("besseli", 1, x),
    slopes=lambda s, y, x: s.where(s.equal(x, 0), s.number(0.5), s.function("i0e", x) - y * (s.function("sign", x) + 1 / x)),
    uses="x y",
    functions=("special.i1e",),
    promotion="float",
    grad_fn="SpecialI1EBackward0",
    rule="bessel",
    samples=ONE,
)
