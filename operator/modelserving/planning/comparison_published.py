"""A model as a published checkpoint of it would be: the same tensors, stored in another layout.

Nobody has to have published such a checkpoint; the figures are those of one that somebody made as people make them. Quantized are
the linear layers of the language model and its routed experts. Embedding, head, norms, router and multimodal towers stay in 16
bits, as llm-compressor, AutoAWQ and GPTQModel leave them.

Groups must not be cut by ranks: an intermediate size whose groups do not even divide by two is padded by zeros to whole groups for
eight ranks. That is what Qwen did to its own AWQ and GPTQ checkpoints of 72B, where 29,568 became 29,696, and did not do to those of
7B and 14B, whose groups divide by two and by four.
"""

from dataclasses import replace

from modelserving.models.facts import ModelFacts, Module, Quantization, Section, Split
from modelserving.units import round_up

# What AutoAWQ, GPTQModel and llm-compressor take unless told otherwise.
GROUP_SIZE = 128
# Ranks that groups must divide by for a checkpoint to be left as it is, and ranks that they divide by after padding.
FEWEST_RANKS, RANKS = 2, 8
FP8 = Quantization("compressed-tensors", 8, is_float=True, strategy="channel", dynamic_activations=True)
W8A8 = Quantization("compressed-tensors", 8, strategy="channel", dynamic_activations=True)
GPTQ_INT8 = Quantization("gptq", 8, strategy="group", group_size=GROUP_SIZE, zero_point=True)
AWQ_INT4 = Quantization("awq", 4, strategy="group", group_size=GROUP_SIZE, zero_point=True)
GPTQ_INT4 = Quantization("gptq", 4, strategy="group", group_size=GROUP_SIZE, zero_point=True)


def published(facts: ModelFacts, quantization: Quantization) -> tuple[ModelFacts, str]:
    """Facts of the checkpoint, and a sentence on what had to be padded; empty if nothing had."""
    group, size = quantization.group_size, facts.intermediate_size
    has_mlp = group is not None and any(
        _pads(module, size) for section in facts.sections for module in section.modules if not section.tower
    )
    padded = size
    if group is not None and has_mlp and size % (group * FEWEST_RANKS):
        padded = round_up(size, group * RANKS)
    sections = tuple(_section(section, size, padded) for section in facts.sections)
    found = replace(facts, sections=sections, stored_quantization=quantization, intermediate_size=padded)
    if padded == size:
        return found, ""
    return found, (
        f"its intermediate size of {size:,} is padded to {padded:,}, so that groups of {group} divide by {RANKS} GPUs; a checkpoint "
        "without that runs on one GPU only"
    )


def _section(section: Section, size: int, padded: int) -> Section:
    if section.tower or section.buffers:
        return section
    return replace(section, modules=tuple(_module(module, size, padded) for module in section.modules))


def _module(module: Module, size: int, padded: int) -> Module:
    # A router is replicated, and every tool leaves it as it is.
    if not module.quantizable or module.split is Split.REPLICATED:
        return replace(module, quantized=False, scheme=None)
    quantized = replace(module, quantized=True, scheme=None)
    if padded == size or not _pads(module, size):
        return quantized
    if module.split is Split.ROW:
        return replace(quantized, in_features=padded)
    return replace(quantized, out_features=tuple(padded if rows == size else rows for rows in module.out_features))


def _pads(module: Module, size: int) -> bool:
    """Whether it is a layer of the MLP, whose width can be padded; experts and heads cannot."""
    if module.experts or not module.quantizable or "mlp" not in module.name:
        return False
    return module.in_features == size if module.split is Split.ROW else size in module.out_features
