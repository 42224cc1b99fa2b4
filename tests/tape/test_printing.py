"""The printed text is PyTorch's: printing.json holds what PyTorch 2.13 printed (see record_printing.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from explain.tape.printing import entries, number_texts, tensor_repr

CASES = json.loads(Path(__file__).with_name("printing.json").read_text(encoding="utf-8"))


def array_of(case: dict) -> np.ndarray:
    """The array of a recorded case, its values repeated until the shape is full."""
    read = {"f": float, "c": complex}.get(np.dtype(case["dtype"]).kind, lambda value: value)
    values = np.array([read(value) for value in case["values"]], case["dtype"])
    return np.resize(values, case["shape"]) if values.size else values.reshape(case["shape"])


def flags_of(case: dict) -> dict:
    return {name: case[name] for name in ("grad_fn", "requires_grad", "head") if name in case}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['dtype']}-{'x'.join(map(str, case['shape']))}")
def test_text_is_that_of_pytorch(case: dict) -> None:
    assert tensor_repr(array_of(case), **flags_of(case)) == case["text"]


@pytest.mark.parametrize("case", [case for case in CASES if "head" not in case and 0 not in case["shape"]])
def test_recorded_text_begins_with_the_entries(case: dict) -> None:
    body = entries(array_of(case))
    assert case["text"].startswith(f"tensor({body}")
    assert case["text"][len(f"tensor({body}")] in ",)"


def test_entries_are_indented_to_their_place() -> None:
    assert entries(np.eye(2), indent=0) == "[[1., 0.],\n [0., 1.]]"
    assert entries(np.eye(2), indent=3) == "[[1., 0.],\n    [0., 1.]]"


def test_a_narrow_place_still_holds_one_number_per_line() -> None:
    assert entries(np.arange(3), indent=79) == "[0,\n" + " " * 80 + "1,\n" + " " * 80 + "2]"


def test_numbers_share_a_width() -> None:
    assert number_texts(np.array([[1.5, -2.0], [30.0, np.nan]])) == [" 1.5000", "-2.0000", "30.0000", "    nan"]
    assert number_texts(np.float32(3)) == ["3."]
    assert number_texts(np.zeros((0, 2))) == []
    assert number_texts(np.arange(1001)) == ["   0", "   1", "   2", " 998", " 999", "1000"]


def test_storage_does_not_show() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    text = tensor_repr(array[:, ::-2].T)
    assert text == tensor_repr(np.ascontiguousarray(array[:, ::-2].T))
    assert text == "tensor([[ 3.,  7., 11.],\n        [ 1.,  5.,  9.]])"
    assert tensor_repr(array.astype(">f4")) == tensor_repr(array)


def test_numpy_scalars_are_tensors_without_dimensions() -> None:
    assert tensor_repr(np.float64(0.5), requires_grad=True) == "tensor(0.5000, dtype=torch.float64, requires_grad=True)"
    assert tensor_repr(np.bool_(True)) == "tensor(True)"


def test_the_array_is_left_alone() -> None:
    array = np.arange(2000.0)
    array.flags.writeable = False
    tensor_repr(array)
    assert array.shape == (2000,)
