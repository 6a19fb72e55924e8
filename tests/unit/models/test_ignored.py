"""Ignore lists of quantized checkpoints, as each method reads them."""

from dataclasses import replace

import pytest

from modelserving.models.facts import Module, Quantization, Split
from modelserving.models.ignored import is_ignored, scheme_of, tells_layers_apart, unreadable

QKV = Module(
    "model.layers.*.self_attn.qkv_proj",
    Split.QKV,
    8,
    (8, 8, 8),
    heads=(2, 2, 2),
    sources=tuple(f"model.layers.*.self_attn.{part}_proj" for part in "qkv"),
)
DOWN = Module("model.layers.*.mlp.down_proj", Split.ROW, 8, (8,))


def quantization(method: str, *ignored: str) -> Quantization:
    return Quantization(method, 8, ignored=ignored)


@pytest.mark.parametrize(
    ("method", "entry", "expected"),
    [
        ("awq", "layers.3.", True),
        ("awq", "layers.4.", False),
        ("fp8", "model.layers.3.mlp.down_proj", True),
        ("fp8", "mlp.down_proj", False),
        ("compressed-tensors", "re:.*down_proj", True),
        ("compressed-tensors", "re:.*mlp.down_proj$", True),
        ("compressed-tensors", "re:.*mlp$", False),
        ("compressed-tensors", "re:model\\.layers\\.3\\..*", True),
        ("compressed-tensors", "re:model", True),
        ("compressed-tensors", "re:vision.*", False),
        ("compressed-tensors", "re:^model.layers.3.mlp.down_proj$", True),
        ("compressed-tensors", "re:^model.*x.*down_proj$", False),
        ("compressed-tensors", "re:.*mlp\\.(gate|up|down)_proj.*", True),
        ("compressed-tensors", "re:.*mlp\\.(gate|up)_proj.*", False),
        ("modelopt", "model.layers.3*", True),
        ("modelopt", "*down_proj", True),
        ("modelopt", "*up_proj", False),
        ("modelopt", "lm_head", False),
    ],
)
def test_entries_match_as_the_method_reads_them(method: str, entry: str, expected: bool) -> None:
    assert is_ignored(DOWN, 3, quantization(method, entry)) is expected


def test_a_fused_module_is_ignored_when_all_its_parts_are() -> None:
    parts = [f"model.layers.0.self_attn.{part}_proj" for part in "qkv"]
    assert is_ignored(QKV, 0, quantization("fp8", *parts))
    assert not is_ignored(QKV, 0, quantization("fp8", *parts[:2]))


@pytest.mark.parametrize(
    "entry", ["re:(a+)+$", "re:.*(gate|up*)_proj", "re:" + "(a|b)" * 9, "re:" + "a" * 300, "re:a*b", "re:\\d+"]
)
def test_patterns_that_could_take_for_ever_are_left_alone(entry: str) -> None:
    assert unreadable(quantization("compressed-tensors", entry, "lm_head")) == (entry,)
    assert not is_ignored(DOWN, 3, quantization("compressed-tensors", entry))


EXPERTS = Module(
    "model.layers.*.mlp.experts.w13",
    Split.COLUMN,
    8,
    (8, 8),
    sources=("model.layers.*.mlp.experts.*.gate_proj", "model.layers.*.mlp.experts.*.up_proj"),
    experts=4,
)


@pytest.mark.parametrize(
    ("method", "entries", "expected"),
    [
        ("modelopt_fp4", ("model.layers.3.mlp.experts*",), True),
        ("modelopt_fp4", ("model.layers.3.mlp.shared_experts*",), False),
        ("compressed-tensors", ("re:.*mlp.experts.*",), True),
        ("fp8", ("model.layers.3.mlp.experts.0.gate_proj", "model.layers.3.mlp.experts.0.up_proj"), True),
        ("fp8", ("model.layers.3.mlp.experts.0.gate_proj",), False),
    ],
)
def test_experts_go_by_their_common_name_or_the_first(method: str, entries: tuple[str, ...], expected: bool) -> None:
    assert is_ignored(EXPERTS, 3, quantization(method, *entries)) is expected


def test_what_is_named_is_stored_as_named() -> None:
    fp8, nvfp4 = Quantization("modelopt", 8), Quantization("modelopt_fp4", 4)
    mixed = Quantization(
        "modelopt_mixed",
        4,
        overrides=((("model.layers.3.mlp.down_proj",), fp8), (("model.layers.3.mlp.experts",), nvfp4)),
        only_named=True,
    )
    assert scheme_of(DOWN, 3, mixed) is fp8
    assert scheme_of(DOWN, 2, mixed) is None
    assert scheme_of(EXPERTS, 3, mixed) is nvfp4


def test_only_an_entry_with_a_digit_tells_layers_apart() -> None:
    alike = Quantization("awq", 4, ignored=("lm_head", "re:.*gate$", "*.mlp.*"))
    assert not tells_layers_apart(alike)
    assert tells_layers_apart(replace(alike, ignored=("model.layers.0.",)))
    assert tells_layers_apart(replace(alike, overrides=((("model.layers.3.mlp",), alike),)))
