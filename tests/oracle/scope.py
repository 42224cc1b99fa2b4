"""What of PyTorch's op_db is no part of this library, by name and with the reason: nothing else is left out."""

from __future__ import annotations

COMPLEX = "complex numbers"
SPARSE = "sparse, masked, nested and quantised tensors"
MEMORY = "memory: strides, uninitialised entries, storages, copies that compilers ask for"
INTERNAL = "internals of torch, of its compilers or of other ops, that no program calls"
CONSTANT = "functions of mathematical physics and signal windows: torch gives no derivative of them"
GAMMA = "the incomplete gamma functions: no elementary derivative, and torch has it by one of the two inputs only"
COUNTS = (
    "not served: counts and memberships, and bits of floating point numbers (torch has a derivative of frexp and nextafter)"
)
RANDOM = "random draws by algorithms of torch's that are not reproduced here, on which the result depends"

NO_DERIVATIVE = "not served: torch's backward is not the derivative of its forward: it takes for granted that a log_softmax stands before"
NO_TENSORS = "shapes go in and come out, no tensors"
NO_FLOW = "random numbers that torch lets require a gradient, which is zero"

DEVICE = "devices that are not the CPU"

EXCLUDED = {
    DEVICE: "nn.functional.batch_norm.without_cudnn",
    COMPLEX: """H cdouble cfloat chalf complex conj_physical imag polar angle view_as_complex
        view_as_real isreal fft.* istft stft linalg.eig linalg.eigvals nn.functional.silu.complex""",
    SPARSE: "sparse.* masked.* to_sparse",
    MEMORY: """as_strided as_strided_copy as_strided_scatter as_strided.partial_views empty empty_like empty_permuted
        empty_strided new_empty new_empty_strided resize_ resize_as_ alias_copy expand_copy narrow_copy
        permute_copy split_with_sizes_copy squeeze_copy t_copy transpose_copy unbind_copy unfold_copy unsqueeze_copy view_copy""",
    INTERNAL: """jiterator* _* torch.* bfloat16 hash_tensor geqrf ormqr linalg.ldl* native_*
        unsafe_* nn.functional.max_pool2d_with_indices_backward max_pool2d_with_indices_backward
        nonzero_static chunk_cat copysign_ grid_sampler_* slice nn.functional.linear_cross_entropy""",
    CONSTANT: """signal.windows.* special.airy_ai special.bessel_* special.chebyshev_* special.hermite_* special.laguerre_*
        special.legendre_* special.modified_bessel_* special.scaled_modified_bessel_* special.shifted_chebyshev_*
        special.spherical_bessel_j0""",
    GAMMA: "igamma igammac",
    COUNTS: "nextafter frexp histogramdd isin",
    RANDOM: """cauchy geometric log_normal svd_lowrank pca_lowrank nn.functional.fractional_max_pool2d
        nn.functional.fractional_max_pool3d""",
    NO_TENSORS: "broadcast_shapes",
    NO_DERIVATIVE: "nn.functional.ctc_loss",
    NO_FLOW: "normal. normal.number_mean bernoulli",
}
DUNDERS = {
    "__getitem__",
    "__radd__",
    "__rand__",
    "__ror__",
    "__rxor__",
    "__rdiv__",
    "__rmatmul__",
    "__rmod__",
    "__rmul__",
    "__rpow__",
    "__rsub__",
}
"""Names that would be private if they were not Python's operators."""

GAUGE = {
    "svd": "singular vectors are determined up to a sign",
    "linalg.svd": "singular vectors are determined up to a sign",
    "linalg.eigh": "eigenvectors are determined up to a sign",
}
"""Ops whose results are free in something that LAPACK's builds choose differently: values and gradients are compared of
what PyTorch's own gradient tests compare (its samples' ``output_process_fn_grad``): |U|, |V|, U·Vᵀ and S."""

NO_SECOND = {
    "linalg.norm.subgradients_at_zero": (
        "torch's second derivative at 0 is 0/0, hence nan, where the gradient does not depend on x or is 0 for every v; "
        "PyTorch's own test of it is marked as an expected failure"
    ),
}
"""Ops of which PyTorch has no right second derivative: only value and gradient are compared."""

OTHER_ERRORS = {
    "__radd__": "Python refuses to call a method of tensors on an int, before anything of torch's runs",
    "__rdiv__": "Python refuses to call a method of tensors on an int, before anything of torch's runs",
    "__rand__": "Python refuses to call a method of tensors on an int, before anything of torch's runs",
    "__ror__": "Python refuses to call a method of tensors on an int, before anything of torch's runs",
    "__rxor__": "Python refuses to call a method of tensors on an int, before anything of torch's runs",
    "__rmul__": "Python refuses to call a method of tensors on an int, before anything of torch's runs",
    "__rsub__": "NotImplemented comes back where the first argument is an int",
    "__rmod__": "NotImplemented comes back where the first argument is an int",
    "__rpow__": "NotImplemented comes back where the first argument is an int",
}
"""Error inputs that are answered in another way, as nobody calls these names with an int for self."""

OUT = "an error about out="
FOREIGN = "an argument of a device, a layout, a dtype or a size that is not served"
NO_DOUBLE = "torch raises for the second derivative (not implemented there): value and gradient are compared"


def excluded(name: str, variant: str = "") -> str | None:
    """The reason why an op is left out, or None."""
    if name in DUNDERS:
        return None
    for reason, names in EXCLUDED.items():
        for pattern in names.split():
            if pattern.endswith("*"):
                found = name.startswith(pattern[:-1])
            else:
                found = pattern == f"{name}.{variant}" or (pattern == name and "." not in pattern[-1:])
            if found:
                return reason
    return None
