"""Entries survive being written, and whatever else is found in their place counts as nothing."""

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.hub.cache import CachedMetadata, decode, encode
from modelserving.models.metadata import CheckpointRef, ModelMetadata, Origin, TensorGroup

METADATA = ModelMetadata(
    model="org/tiny",
    revision="a" * 40,
    origin=Origin.HUB,
    config={"architectures": ["LlamaForCausalLM"], "nested": {"big": 2**80, "none": None}},
    tensors=(TensorGroup("model.layers.*.w", (2, 3), "BF16", 4, (0, 1, 2, 3)), TensorGroup("scalar", (), "F32")),
    parameter_totals={"BF16": 24, "F32": 1},
    quantization_files={"quantize_config.json": {"bits": 4}},
    restricted=True,
)
ENTRY = CachedMetadata(METADATA, 1_700_000_000.25, "research")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def written(document: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(document).encode())).decode()


def document() -> dict[str, Any]:
    parsed = json.loads(gzip.decompress(base64.b64decode(encode(ENTRY))))
    assert isinstance(parsed, dict)
    return parsed


def test_an_entry_survives_being_written() -> None:
    assert decode(encode(ENTRY)) == ENTRY


def test_the_same_entry_gives_the_same_text() -> None:
    assert encode(ENTRY) == encode(ENTRY)
    assert encode(ENTRY).isascii()


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_any_config_survives(config: dict[str, Any]) -> None:
    entry = CachedMetadata(ModelMetadata("org/m", "main", Origin.HUB, config), 0.0)
    assert decode(encode(entry)) == entry


@given(st.text())
def test_any_text_is_an_entry_or_nothing(text: str) -> None:
    assert decode(text) is None


@pytest.mark.parametrize("field", document())
@given(value=json_values)
def test_any_value_in_any_field_is_an_entry_or_nothing(field: str, value: Any) -> None:
    entry = decode(written(document() | {field: value}))
    assert entry is None or decode(encode(entry)) == entry


@pytest.mark.parametrize("field", document())
def test_a_missing_field_makes_an_entry_nothing(field: str) -> None:
    rest = {name: value for name, value in document().items() if name != field}
    assert decode(written(rest)) is None


BROKEN = {
    "another schema": written(document() | {"schema": 2}),
    "a list": written([1, 2]),
    "no gzip": base64.b64encode(b"plain").decode(),
    "no base64": "}{",
    "cut off": encode(ENTRY)[:-8],
    "a bomb": base64.b64encode(gzip.compress(b" " * (17 * 2**20))).decode(),
    "nested without end": base64.b64encode(gzip.compress(b"[" * 100_000)).decode(),
    "an origin nobody knows": written(document() | {"origin": "Rumour"}),
    "a negative shape": written(document() | {"tensors": [["a", [-1], "BF16", 1, []]]}),
    "a row that is too short": written(document() | {"tensors": [["a", [1]]]}),
    "a count that is true": written(document() | {"parameterTotals": {"BF16": True}}),
    "a file that is a text": written(document() | {"quantizationFiles": {"a.json": "b"}}),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_what_is_broken_counts_as_absent(sentence: str) -> None:
    assert decode(BROKEN[sentence]) is None


FRESHNESS = {
    "a commit never ages": ("b" * 40, 1e12, True),
    "a branch lasts its time": ("main", 100.0, True),
    "a branch ages": ("main", 100.1, False),
    "an entry from the future is not trusted": ("main", -1.0, False),
}


@pytest.mark.parametrize("sentence", FRESHNESS)
def test_freshness(sentence: str) -> None:
    revision, age, fresh = FRESHNESS[sentence]
    entry = CachedMetadata(METADATA, 1_000.0)
    assert entry.is_fresh(CheckpointRef("org/tiny", revision), 1_000.0 + age, max_age_seconds=100.0) is fresh


def test_restricted_metadata_is_open_to_its_scope_only() -> None:
    assert [ENTRY.is_open_to(scope) for scope in ("research", "sales", "")] == [True, False, False]
    public = CachedMetadata(ModelMetadata("org/m", "main", Origin.HUB, {}), 0.0)
    assert public.is_open_to("anybody")
