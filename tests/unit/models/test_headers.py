"""Tensors folded into groups, totals unfolded."""

from modelserving.models import headers
from modelserving.models.metadata import TensorGroup

TENSORS = [
    *((f"model.layers.{layer}.mlp.weight", "BF16", (8, 4)) for layer in (10, 0, 2)),
    ("model.norm.weight", "F32", (4,)),
    ("h.0.experts.1.w", "F4", (2, 4)),
    ("h.0.experts.2.w", "F4", (2, 4)),
    ("h.1.experts.1.w", "F4", (2, 2)),
]


def test_indices_fold_and_shapes_stay_apart() -> None:
    assert headers.fold(TENSORS) == (
        TensorGroup("model.layers.*.mlp.weight", (8, 4), "BF16", 3, (0, 2, 10)),
        TensorGroup("model.norm.weight", (4,), "F32", 1, ()),
        TensorGroup("h.*.experts.*.w", (2, 4), "F4", 2, (0,)),
        TensorGroup("h.*.experts.*.w", (2, 2), "F4", 1, (1,)),
    )


def test_totals_add_up() -> None:
    groups = headers.fold(TENSORS)
    assert headers.parameters_by_dtype(groups) == {"BF16": 96, "F32": 4, "F4": 20}
    assert headers.total_bytes(groups) == 2 * 96 + 4 * 4 + 10
    assert headers.bytes_of({"F8_NEW": 3}) == 6


def test_names_are_written_out_again() -> None:
    layers, norm, *_ = headers.fold(TENSORS)
    assert list(headers.names(layers)) == [f"model.layers.{index}.mlp.weight" for index in (0, 2, 10)]
    assert list(headers.names(norm)) == ["model.norm.weight"]


def test_what_is_no_index_stays_a_name() -> None:
    (superscript,) = headers.fold([("a.²", "F32", (1,))])
    assert superscript.pattern == "a.²"
    (long,) = headers.fold([(f"a.{'9' * 5000}", "F32", (1,))])
    assert not long.layers
