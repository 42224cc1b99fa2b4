"""What went wrong, by its kind: the page's words say why, and what to write instead (``templates/words/mistakes.j2``).

The messages are PyTorch's and Python's own; they are recognised here, never changed.
"""

from __future__ import annotations

import builtins
import difflib
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from explain.errors import InputError, Place
from explain.program.source import Source
from explain.program.syntax import FOREIGN

N = r"(?P<n>-?\d+)"
_TABLE: tuple[tuple[str, str], ...] = (
    ("scalar_only", r"grad can be implicitly created only for scalar outputs"),
    ("second_backward", r"Trying to backward through the graph a second time"),
    ("no_grad_fn", r"element \d+ of tensors does not require grad and does not have a grad_fn"),
    ("seed_shape", r"Mismatch in shape: grad_output\[\d+\] has a shape of torch\.Size\((?P<given>.*?)\) and "
     r"output\[\d+\] has a "
     r"shape of torch\.Size\((?P<wanted>.*?)\)\."),
    ("seed_type", r"gradients can be either Tensors or None, but got (?P<kind>.*)"),
    ("seed_count", r"got \d+ tensors and \d+ gradients"),
    ("unused_input", r"The differentiated Tensor at index \d+ appears to not have been used in the graph"),
    ("input_without_grad", r"One of the differentiated Tensors does not require grad"),
    ("no_inputs", r"`inputs` argument to `\w+\(\)` cannot be empty"),
    ("integers", r"[Oo]nly Tensors of floating point (?:and complex )?dtype can require gradients"),
    ("flag_of_result", r"you can only change requires_grad flags of leaf variables"),
    ("numpy_with_grad", r"Can't call numpy\(\) on Tensor that requires grad"),
    ("gradient_shape", r"attempting to assign a gradient of size '(?P<given>.*?)' to a tensor of size '(?P<wanted>.*?)'"),
    ("gradient_dtype", r"attempting to assign a gradient with dtype '(?P<given>\w+)' to a tensor with "
     r"grad_dtype '(?P<wanted>\w+)'"),
    ("gradient_type", r"assigned grad expected to be a Tensor or None but got grad of type (?P<kind>\w+)"),
    ("none_grad", r"'NoneType' object has no attribute '(?P<name>\w+)'"),
    ("not_writable", r"attribute '(?P<name>\w+)' of 'torch\._C\.TensorBase' objects is not writable"),
    ("retain_plain", r"can't retain_grad on Tensor that has requires_grad=False"),
    ("hook_plain", r"cannot register a hook on a tensor that doesn't require gradient"),
    ("hook_result", r"expected Variable, but hook returned '(?P<kind>.*)'|hook '.*' has changed the size of value"),
    ("deepcopy", r"Only Tensors created explicitly by the user \(graph leaves\) support the deepcopy protocol"),
    ("no_derivative", r"derivative for (?P<op>aten::\w+) is not implemented"),
    ("anomaly", r"Function '(?P<node>\w+)' returned nan values in its \d+th output"),
    ("inference_saved", r"Inference tensors cannot be saved for backward"),
    ("inference_write", r"Inplace update to inference tensor|Setting requires_grad=True on inference tensor"),
    ("view_of_leaf", r"a view of a leaf Variable that requires grad is being used in an in-place operation"),
    ("leaf_in_place", r"a leaf Variable that requires grad is being used in an in-place operation"),
    ("version", r"one of the variables needed for gradient computation has been modified by an inplace operation"),
    ("several_views", r"is a view and is being modified inplace\. This view is the output of a function that "
     r"returns multiple views"),
    ("no_grad_view", r"A view was created in no_grad mode and is being modified inplace with grad mode enabled"),
    ("overlap", r"more than one element of the written-to tensor refers to a single memory location"),
    ("narrow_result", r"result type (?P<given>\w+) can't be cast to the desired output type (?P<wanted>\w+)"),
    ("in_place_shape", r"output with shape (?P<own>\[.*?\]) doesn't match the broadcast shape (?P<wanted>\[.*?\])"),
    ("expanded_size", r"The expanded size of the tensor \((?P<wanted>\d+)\) must match the existing size \((?P<own>\d+)\)"),
    ("resize", r"cannot resize variables that require grad"),
    ("broadcast", r"The size of tensor a \((?P<a>\d+)\) must match the size of tensor b \((?P<b>\d+)\) at "
     r"non-singleton dimension "
     r"(?P<dim>\d+)"),
    ("matrix_shapes", r"mat1 and mat2 shapes cannot be multiplied \((?P<a>\d+)x(?P<b>\d+) and (?P<c>\d+)x(?P<d>\d+)\)"),
    ("matrix_and_vector", r"size mismatch, got input \(\d+\), mat \((?P<a>\d+)x(?P<b>\d+)\), vec \((?P<c>\d+)\)"),
    ("vector_shapes", r"size mismatch, got input|inconsistent tensor size, expected tensor"),
    ("product_of_numbers", r"both arguments to matmul need to be at least 1D"),
    ("mixed_dtypes", r"to have the same dtype, but got|must have the same dtype|expected both vectors to have same "
     r"dtype|expected "
     r"scalar type"),
    ("einsum", r"einsum\(\)"),
    ("batch_shapes", r"Expected size for first two dimensions of batch2 tensor to be"),
    ("shape_invalid", r"shape '(?P<shape>\[.*?\])' is invalid for input of size (?P<size>\d+)"),
    ("one_inferred", r"only one dimension can be inferred"),
    ("view_stride", r"view size is not compatible with input tensor's size and stride"),
    ("cat_shapes", r"Sizes of tensors must match except in dimension|Tensors must have same number of dimensions"),
    ("stack_shapes", r"stack expects each tensor to be equal size"),
    ("too_many_indices", r"too many indices for tensor of dimension (?P<n>\d+)|invalid index of a 0-dim tensor"),
    ("index_bounds", r"index (?P<index>-?\d+) is out of bounds for dimension (?P<dim>\d+) with size (?P<size>\d+)"),
    ("mask_shape", r"The shape of the mask (?P<mask>\[.*?\]) at index \d+ does not match the shape of the indexed tensor "
     r"(?P<own>\[.*?\])"),
    ("index_dtype", r"tensors used as indices must be long, int, byte or bool tensors|only integers, slices"),
    ("negative_step", r"step must be greater than zero"),
    ("dim_range", r"Dimension out of range \(expected to be in range of \[(?P<low>-?\d+), "
     r"(?P<high>-?\d+)\], but got (?P<dim>-?\d+)\)"),
    ("dim_twice", r"dim \d+ appears multiple times in the list of dims"),
    ("t_rank", r"t\(\) expects a tensor with <= 2 dimensions"),
    ("integer_mean", r"could not infer output dtype\. Input dtype must be either a floating point|std and var only "
     r"support floating "
     r"point|Expected a floating point or complex tensor as input"),
    ("not_one_entry", r"a Tensor with (?P<n>\d+) elements cannot be converted to Scalar|only one element tensors can "
     r"be converted "
     r"to Python scalars"),
    ("truth", r"Boolean value of Tensor with (more than one value|no values) is ambiguous"),
    ("zero_dim", r"len\(\) of a 0-d tensor|iteration over a 0-d tensor"),
    ("ragged", r"expected sequence of length \d+ at dim \d+ \(got \d+\)"),
    ("no_numbers", r"new\(\): invalid data type|Could not infer dtype of|too many dimensions '"),
    ("integer_power", r"Integers to negative integer powers are not allowed"),
    ("minus_masks", r"Subtraction, the `-` operator|Negation, the `-` operator"),
    ("condition", r"expected condition to be a boolean tensor|only supports boolean masks|expected BoolTensor for mask"),
    ("class_bounds", r"Target (?P<target>-?\d+) is out of bounds"),
    ("class_dtype", r"expected target dtype to be Long or Byte|expected scalar type Long but found|RuntimeError: 0D "
     r"or 1D target|0D or "
     r"1D target tensor expected, multi-target not supported"),
    ("batch_sizes", r"Expected input batch_size \((?P<a>\d+)\) to match target batch_size \((?P<b>\d+)\)"),
    ("probabilities", r"all elements of (?:input|target) should be between 0 and 1"),
    ("target_size", r"Using a target size \(torch\.Size\((?P<target>.*?)\)\) that is different to the "
     r"input size|Target size \("),
    ("embedding", r"index out of range in self"),
    ("channels", r"expected input\[.*?\] to have (?P<wanted>\d+) channels, but got (?P<given>\d+) channels instead"),
    ("normalized_shape", r"Given normalized_shape=(?P<wanted>\[.*?\]), expected input with shape"),
    ("one_value", r"Expected more than 1 value per channel when training"),
    ("no_forward", r"is missing the required \"forward\" function"),
    ("no_super", r"cannot assign \w+ before Module\.__init__\(\) call|object has no attribute "
     r"'_(?:parameters|modules|buffers|"
     r"backward_hooks)'"),
    ("no_parameters", r"optimizer got an empty parameter list"),
    ("optimize_result", r"can't optimize a non-leaf Tensor"),
    ("one_parameter", r"params argument given to the optimizer should be an iterable of Tensors or dicts"),
    ("function_count", r"function (?P<name>\w+)Backward returned an incorrect number of gradients \(expected "
     r"(?P<wanted>\d+), got "
     r"(?P<given>\d+)\)"),
    ("function_shape", r"Function \w+ returned an invalid gradient at index \d+ - got (?P<given>\[.*?\]) but "
     r"expected shape compatible "
     r"with (?P<wanted>\[.*?\])"),
    ("function_type", r"expected Variable or None \(got (?P<kind>\w+)\)"),
    ("function_no_backward", r"You must implement either the backward or vjp method"),
    ("function_saved", r"save_for_backward can only save variables"),
    ("function_call", r"Legacy autograd function with non-static forward method is deprecated"),
    ("func_scalar", r"Expected f\(\*args\) to return a (?:scalar )?Tensor"),
    ("vmap_sizes", r"vmap: Expected all tensors to have the same size in the mapped dimension"),
    ("gradcheck", r"Jacobian mismatch for output \d+ with respect to input \d+"),
    ("gradcheck_inputs", r"gradcheck expects at least one input tensor to require gradient"),
    ("singular", r"because the input matrix is singular|The diagonal element \d+ is zero"),
    ("no_cuda", r"Torch not compiled with CUDA enabled"),
    ("numpy_times_tensor", r"unsupported operand type\(s\) for .*: 'numpy\.ndarray' and 'Tensor'"),
    ("none_operand", r"unsupported operand type\(s\) for (?P<sign>.*): (?:'NoneType' and .*|.* and 'NoneType')"),
    ("operands", r"unsupported operand type\(s\) for (?P<sign>.*): '(?P<a>.*)' and '(?P<b>.*)'"),
    ("must_be_tensor", r"(?P<name>[\w.]+)\(\): argument '(?P<argument>\w+)' \(position \d+\) must be Tensor, "
     r"not (?P<kind>\w+)"),
)  # fmt: skip
_WARNINGS: tuple[tuple[str, str], ...] = (
    ("warn_not_leaf", r"The \.grad attribute of a Tensor that is not a leaf Tensor is being accessed"),
    ("warn_copy", r"To copy construct from a tensor, it is recommended to use"),
    ("warn_number", r"Converting a tensor with requires_grad=True to a scalar"),
    ("warn_cycle", r"Using backward\(\) with create_graph=True"),
    ("target_size", r"Using a target size"),
    ("warn_scheduler", r"Detected call of `lr_scheduler\.step\(\)` before `optimizer\.step\(\)`"),
)
_COMPILED = tuple((key, re.compile(pattern)) for key, pattern in _TABLE)
_NO_TORCH_NAME = re.compile(r"module '(?P<module>torch[\w.]*)' has no attribute '(?P<name>\w+)'")
_NO_TENSOR_NAME = re.compile(r"'(?:Tensor|Parameter)' object has no attribute '(?P<name>\w+)'")
_NO_IMPORT = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>torch[\w.]*)'")
_NO_NAME = re.compile(r"name '(?P<name>\w+)' is not defined")


def kind_of(error: BaseException, names: Iterable[str] = ()) -> tuple[str, dict[str, Any]]:
    """The key of the words that explain an exception, and their parameters; ("", {}) if there are none.

    ``names``: what the program has given names to, for suggestions.
    """
    text = str(error)
    for pattern, key in ((_NO_TORCH_NAME, "no_such_function"), (_NO_IMPORT, "no_such_function")):
        found = pattern.search(text)
        if found:
            if found["name"] in torch_names(found["module"]):
                return "not_served", {"name": f"{found['module']}.{found['name']}"}
            return key, {"name": found["name"], "module": found["module"], "near": _near_in_torch(found["name"])}
    found = _NO_TENSOR_NAME.search(text)
    if found:
        if found["name"] in torch_names("torch.Tensor"):
            return "not_served", {"name": f"Tensor.{found['name']}"}
        return "no_such_method", {"name": found["name"], "near": _near_method(found["name"])}
    found = _NO_NAME.search(text)
    if isinstance(error, NameError) and found:
        near = difflib.get_close_matches(found["name"], [*names, *dir(builtins)], 1, 0.7)
        return "no_such_name", {"name": found["name"], "near": near[0] if near else ""}
    for key, pattern in _COMPILED:
        found = pattern.search(text)
        if found:
            return key, {name: value for name, value in found.groupdict().items() if value is not None}
    return "", {}


@cache
def _recorded_names() -> dict[str, frozenset[str]]:
    text = (files("explain.program") / "torch_names.txt").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    module = ""
    for line in text.splitlines():
        if line.startswith(" "):
            found[module] += line.split()
        else:
            module = line.rstrip(":")
            found[module] = []
    return {module: frozenset(names) for module, names in found.items()}


def torch_names(module: str) -> frozenset[str]:
    """The public names that PyTorch's module (or ``torch.Tensor``) has, whether they are served here or not."""
    return _recorded_names().get(module, frozenset())


def kind_of_warning(text: str) -> str:
    """The key of the words that explain a warning; "" if there are none."""
    return next((key for key, pattern in _WARNINGS if re.search(pattern, text)), "")


def _near_in_torch(name: str) -> str:
    """Where a name lives that is not where it was looked for, or the most similar one."""
    from explain.program.allowed import facade

    places = ("torch", "torch.nn", "torch.nn.functional", "torch.linalg", "torch.special", "torch.optim", "torch.autograd")
    for place in places:
        if name in vars(facade(place)):
            return f"{place}.{name}"
    for place in places:
        near = difflib.get_close_matches(name, [n for n in vars(facade(place)) if not n.startswith("_")], 1, 0.75)
        if near:
            return f"{place}.{near[0]}"
    return ""


def _near_method(name: str) -> str:
    from explain.program.guards import HIDDEN
    from explain.tape.tensor import Tensor

    shown = [n for n in dir(Tensor) if not n.startswith("_") and n not in HIDDEN]
    near = difflib.get_close_matches(name, shown, 1, 0.75)
    return near[0] if near else ""


# texts that are no programs

_QUOTED = re.compile(r"""('''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\#[^\n]*)""", re.DOTALL)
_HINTS = (
    (r"Missing parentheses in call to 'print'", "Python 3 writes print(…)"),
    (r"expected an indented block", "The lines after a colon are indented, by four spaces"),
    (r"unexpected indent|unindent does not match|inconsistent use of tabs", "Lines of one block begin in the same column"),
    (r"expected ':'", "def, if, for, while, with and class lines end with a colon"),
    (r"was never closed", "Every bracket that opens must close"),
    (r"cannot assign to .*Maybe you meant '=='", "== compares, = gives a name"),
    (r"unterminated", "A text ends with the quote that it began with, on the same line"),
)


def from_syntax(source: Source, error: SyntaxError) -> InputError:
    """What to tell the author of a text that Python cannot read: the line, a caret, what to change."""
    line = error.lineno or 1
    foreign = _foreign(source, line)
    if foreign is not None:
        return foreign
    column = max((error.offset or 1) - 1, 0)
    text = source.line_text(line)
    start = len(text[:column].encode())
    end_line = error.end_lineno or line
    end = len(text[: max((error.end_offset or 0) - 1, column + 1)].encode()) if end_line == line else len(text.encode())
    place = source.place(line, start, line, max(end, start + 1))
    hint = next((words for pattern, words in _HINTS if re.search(pattern, error.msg)), None)
    return InputError(f"line {place.line}: {error.msg}", place, hint)


def _foreign(source: Source, line: int) -> InputError | None:
    """A character of another keyboard outside of texts and comments, in the line of the fault or before it."""
    code = _QUOTED.sub(lambda found: "".join(c if c == "\n" else " " for c in found[0]), source.code)
    lines = code.split("\n")
    for number in (line, *range(1, len(lines) + 1)):
        for column, character in enumerate(lines[number - 1] if 0 < number <= len(lines) else ""):
            plain = FOREIGN.get(character) or unicodedata.normalize("NFKC", character)
            if character.isascii() or not (
                character in FOREIGN or (plain != character and plain.isascii() and not plain.isalnum())
            ):
                continue
            before = len(source.line_text(number)[:column].encode())
            place = source.place(number, before, number, before + len(character.encode()))
            words = "a space" if not plain.strip() else plain
            return InputError(
                f"line {place.line}: the character {character} is not read", place, f"Write {words} instead of {character}"
            )
    return None


def whole_line(source: Source, line: int | None) -> Place | None:
    """The line in which something happened."""
    return None if line is None else source.line_place(line)
