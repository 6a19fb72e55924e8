"""Every family takes both roads: its modules written down as safetensors headers give its modules again, byte for byte.

Names and shapes of published files, written down by hand, are in `test_two_roads`; a family is in one of its checkpoints, or
it is named here as one whose files nobody has written down yet.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from model_cases import DATA, V32, config_of, engine_config
from modelserving.hub.catalogue import as_metadata, bundled
from modelserving.models.facts import ModelFacts, Module, Quantization, Section, Stage
from modelserving.models.families import FAMILIES, family_of
from modelserving.models.families.family import Family
from modelserving.models.metadata import ModelMetadata, Origin, TensorGroup
from modelserving.models.reader import read_facts
from modelserving.sizing.weights import rank_weights
from unit.models.test_two_roads import CHECKPOINTS

# Families without a checkpoint in `test_two_roads`, whose tensors' published names only their prefixes and renames vouch for.
# A new family is not added here: its checkpoint is written down there.
NAMES_NOT_WRITTEN_DOWN = frozenset(
    {
        *("phi3", "granite", "starcoder2", "mimo", "opt", "gemma2", "gemma3_text", "gemma4_text", "mixtral"),
        *("qwen2_moe", "qwen3_moe", "gpt_oss", "glm4_moe", "minimax_m2", "llama4_text", "deepseek", "nemotron_h"),
        *("qwen3_next", "falcon_h1", "jamba", "llava", "llava_next", "llava_qwen", "qwen2_vl", "qwen2_5_vl"),
        *("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "gemma3", "gemma4", "llama4", "kimi_k25", "whisper"),
        *("bert", "roberta", "llama_embedding", "mistral_embedding", "qwen2_embedding", "qwen3_embedding"),
    }
)
# Families whose models the catalogue lacks: embedders are their decoders without a head, text-only classes are the decoders of
# multimodal models that it has.
BY_OTHER_CONFIGS: dict[str, dict[str, Any]] = {
    "LlamaModel": config_of("llama31-8b", architectures=["LlamaModel"]),
    "Qwen2Model": config_of("qwen2.5-7b", architectures=["Qwen2Model"]),
    "Qwen3Model": dict(bundled()["Qwen/Qwen3-8B"].config) | {"architectures": ["Qwen3Model"]},
    "Llama4ForCausalLM": dict(bundled()["meta-llama/Llama-4-Scout-17B-16E-Instruct"].config["text_config"])
    | {"architectures": ["Llama4ForCausalLM"]},
    "Gemma4ForCausalLM": dict(bundled()["google/gemma-4-31B-it"].config["text_config"])
    | {"architectures": ["Gemma4ForCausalLM"]},
}
BITS_OF_A_WORD = 32


def _metadata() -> Iterator[tuple[str, ModelMetadata]]:
    """Every entry of the catalogue, of tests/data/configs, and of the families in neither."""
    for model, entry in bundled().items():
        yield model, as_metadata(entry)
    for folder in sorted((DATA / "configs").iterdir()):
        if folder.is_dir():
            yield folder.name, ModelMetadata(folder.name, "main", Origin.FILE, config_of(folder.name))
    for architecture, config in BY_OTHER_CONFIGS.items():
        yield architecture, ModelMetadata(architecture, "main", Origin.FILE, config)


READ = {
    name: (metadata, facts) for name, metadata in _metadata() if isinstance(facts := read_facts(metadata), ModelFacts)
}


def written(facts: ModelFacts) -> tuple[TensorGroup, ...]:
    """The tensors that a checkpoint of these modules has, folded as headers are."""
    family = next(family for family in FAMILIES if family.name == facts.family)
    return tuple(
        replace(group, pattern=stored_name(family, group.pattern))
        for section in facts.sections
        if not section.buffers
        for module in section.modules
        if module.tied_to is None
        for group in _of_module(module, section, facts.stored_quantization)
    )


def stored_name(family: Family, name: str) -> str:
    """A name that the family's prefixes and renames turn into vLLM's."""
    undone = name
    for stored, built in reversed(family.renames):
        undone = undone.replace(built, stored)
    spelled = [name, undone]
    spelled += [
        stored + each[len(built) :]
        for each in (name, undone)
        for stored, built in family.prefixes
        if each.startswith(built)
    ]
    return next(each for each in spelled if family.vllm_name(each) == name)


def _of_module(module: Module, section: Section, stored: Quantization | None) -> Iterator[TensorGroup]:
    sources = module.sources or (module.name,)
    # Where the checkpoint joins parts, the first of its tensors is the one that holds several.
    joined = len(module.out_features) - len(sources) + 1
    parts = (sum(module.out_features[:joined]), *module.out_features[joined:])
    for source, rows in zip(sources, parts, strict=True):
        indexed = "*" in source
        layers = (section.layers if section.stage is Stage.LAYERS else tuple(range(section.repeats))) if indexed else ()
        copies = max(1, len(layers)) * max(1, module.experts)
        kind, dtype, shape = _weight(module, rows, stored)
        yield TensorGroup(f"{source}.{kind}", shape, dtype, copies, layers)
        if module.bias:
            yield TensorGroup(f"{source}.bias", (rows,), "BF16", copies, layers)


def _weight(module: Module, rows: int, stored: Quantization | None) -> tuple[str, str, tuple[int, ...]]:
    """(name, dtype, shape) of a weight as its quantization stores it."""
    columns = module.in_features
    scheme = module.scheme or stored
    if not module.quantized or scheme is None:
        return "weight", "BF16", (rows, columns) if columns > 1 else (rows,)
    if scheme.is_float:
        return ("weight", "F8_E4M3", (rows, columns)) if scheme.bits == 8 else ("weight", "U8", (rows, columns // 2))
    if scheme.bits == 8 and scheme.method == "compressed-tensors" and scheme.strategy == "channel":
        return "weight", "I8", (rows, columns)
    packed = BITS_OF_A_WORD // scheme.bits
    if scheme.method == "compressed-tensors":
        return "weight_packed", "I32", (rows, columns // packed)
    if scheme.method == "awq":
        return "qweight", "I32", (columns, rows // packed)
    return "qweight", "I32", (columns // packed, rows)


def test_every_family_has_a_model_to_try() -> None:
    tried = {facts.family for _, facts in READ.values()}
    assert {family.name for family in FAMILIES} - tried == set()


def test_no_family_is_forgotten_where_published_names_are_written_down() -> None:
    by_hand = {family.name for config, _ in CHECKPOINTS.values() if (family := family_of(config["architectures"][0]))}
    known = {family.name for family in FAMILIES}
    assert known - by_hand - NAMES_NOT_WRITTEN_DOWN == set(), "write a checkpoint of these down in test_two_roads.py"
    assert NAMES_NOT_WRITTEN_DOWN - (known - by_hand) == set(), "these need not be named here any more"


@pytest.mark.parametrize("name", READ)
def test_both_roads_give_the_same_bytes(name: str) -> None:
    metadata, by_config = READ[name]
    if by_config.stored_quantization is not None and not by_config.stored_quantization.known:
        assert "not known" in " ".join(by_config.assumptions)
        return
    by_headers = read_facts(replace(metadata, tensors=written(by_config), parameter_totals={}))
    assert isinstance(by_headers, ModelFacts)
    told = [sentence for sentence in by_headers.assumptions if "headers" in sentence or "stored tensors" in sentence]
    assert told == []
    for ranks in (1, 8):
        engine = engine_config(by_config, tensor_parallel_size=ranks)
        assert rank_weights(by_headers, engine, V32, 0).on_gpu == rank_weights(by_config, engine, V32, 0).on_gpu
