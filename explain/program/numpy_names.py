"""Numpy for programs: its functions of arrays, without files, raw memory and code from text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from explain.program.refusal import Refusal

_NUMPY = """
abs absolute add all allclose amax amin angle any append apply_along_axis apply_over_axes arange arccos
arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argpartition argsort argwhere around array
array2string array_equal array_equiv array_repr array_split array_str asanyarray asarray ascontiguousarray
astype atleast_1d atleast_2d atleast_3d average bartlett bincount bitwise_and bitwise_not bitwise_or
bitwise_xor blackman block bmat bool bool_ broadcast_arrays broadcast_shapes broadcast_to can_cast cbrt ceil
choose clip column_stack compress concat concatenate convolve copy copysign copyto corrcoef correlate cos cosh
count_nonzero cov cross cumprod cumsum deg2rad degrees delete diag diag_indices diagflat diagonal diff
digitize divide divmod dot double dsplit dstack dtype e ediff1d einsum empty empty_like equal errstate exp
exp2 expand_dims expm1 extract eye fabs fill_diagonal finfo flatnonzero flip fliplr flipud float16 float32
float64 float_power floor floor_divide fmax fmin fmod frexp frombuffer fromfunction fromiter full full_like
gcd generic geomspace gradient greater greater_equal hamming hanning heaviside histogram histogram2d hsplit
hstack hypot i0 identity iinfo imag in1d indices inf inner insert int16 int32 int64 int8 int_ integer interp
intersect1d inv invert isclose iscomplexobj isfinite isin isinf isnan isneginf isposinf isreal isrealobj
isscalar ix_ kaiser kron lcm ldexp left_shift less less_equal lexsort linspace log log10 log1p log2 logaddexp
logaddexp2 logical_and logical_not logical_or logical_xor logspace matmul matrix_transpose max maximum mean
median meshgrid mgrid min minimum mod modf moveaxis multiply nan nan_to_num nanargmax nanargmin nancumprod
nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ndarray
ndenumerate ndim ndindex negative newaxis nextafter nonzero not_equal number ogrid ones ones_like outer pad
partition percentile permute_dims pi place polyfit polyval positive pow power printoptions prod promote_types
ptp put put_along_axis quantile r_ c_ s_ rad2deg radians ravel real reciprocal remainder repeat reshape resize
result_type right_shift rint roll rollaxis roots rot90 round row_stack searchsorted select set_printoptions
get_printoptions setdiff1d seterr setxor1d shape sign signbit sin sinc single sinh size sort split sqrt square
squeeze stack std subtract sum swapaxes take take_along_axis tan tanh tensordot tile trace transpose trapezoid
trapz tri tril tril_indices trim_zeros triu triu_indices true_divide trunc uint16 uint32 uint64 uint8 union1d
unique unravel_index unwrap vander var vdot vecdot vectorize vsplit vstack where zeros zeros_like floating
complex64 complex128 str_ object_
"""
_LINALG = """
cholesky cond cross det diagonal eig eigh eigvals eigvalsh inv lstsq matmul matrix_norm matrix_power
matrix_rank multi_dot norm outer pinv qr slogdet solve svd svdvals tensorinv tensorsolve trace vecdot
vector_norm LinAlgError
"""
_RANDOM = """
beta binomial choice default_rng dirichlet exponential gamma geometric get_state gumbel laplace logistic
lognormal multinomial multivariate_normal normal permutation poisson rand randint randn random random_integers
random_sample RandomState ranf rayleigh sample seed set_state shuffle standard_normal standard_t triangular
uniform Generator
"""
_TESTING = "assert_allclose assert_almost_equal assert_array_almost_equal assert_array_equal assert_equal"
_FFT = "fft ifft fft2 ifft2 fftn ifftn rfft irfft fftfreq rfftfreq fftshift ifftshift"
_NAMES = {
    "numpy": _NUMPY, "numpy.linalg": _LINALG, "numpy.random": _RANDOM, "numpy.testing": _TESTING,
    "numpy.typing": "ArrayLike NDArray DTypeLike", "numpy.fft": _FFT,
}  # fmt: skip

ARRAY = frozenset(
    """
    T all any argmax argmin argpartition argsort astype choose clip compress conj copy cumprod cumsum diagonal dot dtype fill
    flat flatten imag item itemsize mT max mean min nbytes ndim nonzero partition prod put ravel real repeat reshape resize
    round searchsorted shape size sort squeeze std strides sum swapaxes take tolist trace transpose var view flags is_integer
    as_integer_ratio hex fromhex conjugate numerator denominator bit_count
    """.split()
)
"""Attributes of real arrays and numbers of numpy that a program may read."""
OTHERS = frozenset(
    """
    seed rand randn randint normal uniform choice shuffle permutation permuted random integers standard_normal exponential
    beta binomial poisson gamma multinomial multivariate_normal get_state set_state random_sample sample laplace lognormal
    name kind itemsize type char str byteorder newbyteorder ndim shape names fields num alignment isnative descr subdtype
    eps max min tiny resolution bits precision smallest_normal smallest_subnormal iexp maxexp minexp dtype
    nin nout nargs ntypes types identity reduce accumulate outer at reduceat signature
    pyfunc otypes excluded index coords iter args base value
    """.split()
)
"""The same of random generators, dtypes, ufuncs and the like."""


def names_of(module: str) -> dict[str, Any]:
    """What a program finds in a module of numpy's."""
    import importlib

    real = importlib.import_module(module)
    found = {name: getattr(real, name) for name in _NAMES[module].split() if hasattr(real, name)}
    if module == "numpy":
        found |= {"load": load, "float": float, "int": int, "__version__": np.__version__}
        del found["float"], found["int"]
    return found


def load(file: Any, *args: Any, **options: Any) -> Any:
    """``np.load`` for files below the working folder, without pickles. Raises Refusal for others."""
    path = Path(str(file))
    here = Path.cwd().resolve()
    if not isinstance(file, str | Path) or here not in path.resolve().parents or path.suffix not in (".npy", ".npz"):
        raise Refusal("file", name=f"np.load({str(file)!r})")
    return np.load(path, allow_pickle=False)


def is_numpys(kind: type) -> bool:
    """Whether a class is numpy's own."""
    return kind.__module__.partition(".")[0] == "numpy"
