import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.planning.plan import Alternative, Rejected
from modelserving.planning.record import LONGEST_RECORD, from_json, to_json
from render_cases import engine_config, plan


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quantization": "awq", "stored": True, "config": engine_config(quantization="awq", cpu_offload_bytes=2**34)},
        {"config": engine_config(limit_mm_per_prompt=(("image", 2), ("video", 0)), block_size=16)},
        {"rejected": (), "alternatives": (), "notes": ()},
    ],
)
def test_a_plan_comes_back_as_it_was(changes: dict[str, Any]) -> None:
    assert from_json(to_json(plan(**changes))) == plan(**changes)


def test_the_text_is_compact_and_always_the_same() -> None:
    text = to_json(plan())
    assert text == to_json(plan())
    assert len(text) < 4096
    assert "\n" not in text


GARBAGE = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "a number": "1",
    "nothing in it": "{}",
    "another version": json.dumps(json.loads(to_json(plan())) | {"version": 2}),
    "no digest": json.dumps({"version": 1, "plan": json.loads(to_json(plan()))["plan"]}),
    "nested without end": "[" * 100_000,
    "cut off": to_json(plan())[:-40],
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_no_plan(text: str) -> None:
    assert from_json(text) is None


def test_a_plan_edited_by_hand_is_no_plan() -> None:
    text = to_json(plan())
    edited = text.replace('"tensor_parallel_size":4', '"tensor_parallel_size":8')
    assert edited != text
    assert from_json(edited) is None


def test_a_body_of_another_shape_is_no_plan_even_with_its_digest() -> None:
    from modelserving.planning.record import _digest

    body = {"model": 3}
    assert from_json(json.dumps({"version": 1, "digest": _digest(body), "plan": body})) is None


@given(st.text(max_size=50))
def test_reading_is_total(text: str) -> None:
    assert from_json(text) is None


def test_long_explanations_are_cut_and_the_decision_is_kept() -> None:
    long = plan(
        rejected=tuple(Rejected(f"{n} × X", "InsufficientGPUMemory", "é" * 900, n) for n in range(100)),
        alternatives=tuple(Alternative(f"{n} × X", "m" * 900) for n in range(100)),
        notes=("n" * 900,),
    )
    text = to_json(long)
    assert len(text.encode()) < LONGEST_RECORD
    read = from_json(text)
    assert read is not None
    assert (read.config, read.memory, read.placement, read.notes) == (
        long.config,
        long.memory,
        long.placement,
        long.notes,
    )
    assert read.rejected == long.rejected[: len(read.rejected)]
    assert len(read.rejected) > 10
