"""Tensor inventory -> vLLM's modules: the road from safetensors headers.

The family says which checkpoint tensors make up which module; sizes and what is quantized come from the tensors. Where
the headers are incomplete or contradict themselves nothing is guessed: the caller falls back to config.json.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod

from modelserving.models import headers
from modelserving.models.facts import Module, Quantization, Section, Split, Stage
from modelserving.models.families.family import Family
from modelserving.models.ignored import scheme_of
from modelserving.models.metadata import TensorGroup

# Names that quantization tools give the packed weight instead of `weight`.
_WEIGHT_NAMES = ("weight", "qweight", "weight_packed")
_QUANTIZED_DTYPES = frozenset({"F8_E4M3", "F8_E5M2", "I8", "U8", "F4"})
# Buffers and scales that vLLM computes itself or folds into other tensors.
_COMPUTED = ("rotary_emb.inv_freq", "position_ids")
# Elements of a byte, in which floats of 4 bits go in pairs: DeepSeek V4 calls them signed.
_BYTES = ("U8", "I8")
_BITS_PER_WORD = 32
# Names of experts that are stored stacked: up alone, gate and up, down; and suffixes with weights an element packs.
_STACKED = ("up_proj", "gate_up_proj", "down_proj")
_STACKED_SUFFIXES = (("", 1), (".weight", 1), ("_blocks", 2))


class HeadersIncompleteError(ValueError):
    """The tensors do not make up the modules that the family names; the message says which."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    dtype: str
    shape: tuple[int, ...]
    copies: int = 1


@dataclass(frozen=True, slots=True)
class _Weight:
    rows: int
    columns: int
    quantized: bool


class Inventory:
    """Tensors of a checkpoint by vLLM's names."""

    def __init__(self, groups: Iterable[TensorGroup], family: Family, quantization: Quantization | None) -> None:
        self._tensors: dict[str, _Tensor] = {}
        self._quantization = quantization
        for group in groups:
            # A second index is that of an expert: so many tensors go by one name.
            copies = max(1, group.count // max(1, len(group.layers)))
            for name in headers.names(group):
                self._tensors[family.vllm_name(name)] = _Tensor(group.dtype, group.shape, copies)

    def sections(self, described: tuple[Section, ...]) -> tuple[Section, ...]:
        """Sections with sizes and quantization as stored; layers that differ become sections of their own.

        Raises:
            HeadersIncompleteError: a tensor is missing or has an impossible shape.
        """
        found: list[Section] = []
        for section in described:
            found.extend([section] if section.buffers else self._section(section))
        return tuple(found)

    def _section(self, section: Section) -> list[Section]:
        in_layers = section.stage is Stage.LAYERS
        variants: dict[tuple[Module, ...], list[int]] = defaultdict(list)
        for index in section.layers if in_layers else range(section.repeats):
            modules = tuple(self._module(self._schemed(module, index), index) for module in section.modules)
            variants[modules].append(index)
        if in_layers:
            return [replace(section, modules=modules, layers=tuple(at)) for modules, at in variants.items()]
        return [replace(section, modules=modules, repeats=len(at)) for modules, at in variants.items()]

    def _schemed(self, module: Module, index: int) -> Module:
        """The module with how it is stored, where config.json says so for it alone."""
        if self._quantization is None or not self._quantization.overrides:
            return module
        scheme = scheme_of(module, index, self._quantization)
        return module if scheme is self._quantization else replace(module, scheme=scheme)

    def _module(self, module: Module, index: int) -> Module:
        if module.tied_to is not None:
            return replace(module, out_features=self._rows(module.tied_to, module), in_features=module.in_features)
        if module.experts:
            return self._experts(module, index)
        sources = [source.replace("*", str(index), 1) for source in (module.sources or (module.name,))]
        weights = [self._weight(source, module) for source in sources]
        if len({weight.columns for weight in weights}) > 1:
            raise HeadersIncompleteError(f"the parts of {module.name} in layer {index} differ in their input size")
        rows = tuple(weight.rows for weight in weights)
        if len(rows) != len(module.out_features):
            # Parts that the checkpoint joins or cuts otherwise.
            if sum(rows) != sum(module.out_features):
                raise HeadersIncompleteError(f"{module.name} in layer {index} has {sum(rows)} rows, not as described")
            rows = module.out_features
        by_heads = module.split in (Split.QKV, Split.GROUPED)
        if by_heads and any(count % heads for count, heads in zip(rows, module.heads, strict=True)):
            raise HeadersIncompleteError(f"{module.name} in layer {index} has {rows} rows for {module.heads} heads")
        quantized = any(weight.quantized for weight in weights)
        # GPTQ tools store a bias of zeros for every linear; vLLM leaves it out where the class has none. A module that
        # lacks the bias of its class, as Whisper's keys do, has it all the same where another part has one.
        has_bias = module.bias if quantized else any(f"{source}.bias" in self._tensors for source in sources)
        found = replace(module, in_features=weights[0].columns, out_features=rows, bias=has_bias)
        return _marked(found, quantized)

    def _experts(self, module: Module, index: int) -> Module:
        """Routed experts: stored one by one, or stacked as vLLM holds them."""
        sources = [source.replace("*", str(index), 1) for source in module.sources]
        found = [self._find(source) for source in sources]
        if all(tensor is not None for tensor in found):
            weights = [self._weight(source, module) for source in sources]
            rows, columns = tuple(weight.rows for weight in weights), {weight.columns for weight in weights}
            counts = {tensor.copies for tensor in found if tensor is not None}
            if rows != module.out_features or columns != {module.in_features} or counts != {module.experts}:
                raise HeadersIncompleteError(
                    f"{module.name} in layer {index} is not of the sizes that config.json states"
                )
            return _marked(module, any(weight.quantized for weight in weights))
        part = _STACKED[len(sources) - 1 if module.split is not Split.ROW else -1]
        owner = module.owner.replace("*", str(index), 1)
        for suffix, packed in _STACKED_SUFFIXES:
            tensor = self._tensors.get(f"{owner}.{part}{suffix}")
            if tensor is None:
                continue
            expected = module.experts * sum(module.out_features) * module.in_features
            if prod(tensor.shape) * packed != expected:
                raise HeadersIncompleteError(f"{owner}.{part} has the shape {list(tensor.shape)}, not as described")
            return _marked(module, packed > 1 or tensor.dtype in _QUANTIZED_DTYPES)
        raise HeadersIncompleteError(f"{sources[0]}.weight is missing")

    def _find(self, source: str) -> _Tensor | None:
        return next((found for kind in _WEIGHT_NAMES if (found := self._tensors.get(f"{source}.{kind}"))), None)

    def _rows(self, name: str, module: Module) -> tuple[int, ...]:
        return (self._weight(name, module).rows,)

    def _weight(self, source: str, module: Module) -> _Weight:
        for kind in _WEIGHT_NAMES:
            tensor = self._tensors.get(f"{source}.{kind}")
            if tensor is not None:
                return _logical(source, kind, tensor, module.scheme or self._quantization)
        tensor = self._tensors.get(source)
        if tensor is None:
            raise HeadersIncompleteError(f"{source}.weight is missing")
        columns = module.in_features if prod(tensor.shape) % module.in_features == 0 else 1
        return _Weight(prod(tensor.shape) // columns, columns, False)


def _marked(module: Module, quantized: bool) -> Module:
    return replace(module, quantized=quantized, scheme=module.scheme if quantized else None)


def _logical(source: str, kind: str, tensor: _Tensor, quantization: Quantization | None) -> _Weight:
    shape = tensor.shape
    if kind == "weight":
        if not shape or min(shape) < 1:
            raise HeadersIncompleteError(f"{source}.weight has the shape {list(shape)}")
        # Floats of 4 bits are stored two to a byte.
        is_four_bits = quantization is not None and quantization.bits == 4
        packed = 2 if tensor.dtype in _BYTES and is_four_bits else 1
        return _Weight(shape[0], prod(shape[1:]) * packed, tensor.dtype in _QUANTIZED_DTYPES)
    if quantization is None or len(shape) != 2:
        raise HeadersIncompleteError(f"{source}.{kind} of shape {list(shape)} is not explained by config.json")
    if tensor.dtype == "U8":
        return _Weight(shape[0], shape[1] * 8 // quantization.bits, True)
    packed = _BITS_PER_WORD // quantization.bits
    if kind == "weight_packed":
        return _Weight(shape[0], shape[1] * packed, True)
    if quantization.method == "awq":
        return _Weight(shape[1] * packed, shape[0], True)
    return _Weight(shape[1], shape[0] * packed, True)


def unexplained(groups: Iterable[TensorGroup], family: Family, sections: tuple[Section, ...]) -> Mapping[str, int]:
    """Bytes by pattern of stored tensors that no module is made of and that vLLM is not known to leave out."""
    owners = tuple(f"{module.owner}." for section in sections for module in section.modules if module.experts)
    roots = {
        source for section in sections for module in section.modules for source in module.sources or (module.name,)
    }
    left: dict[str, int] = defaultdict(int)
    for group in groups:
        name = family.vllm_name(next(headers.names(group)))
        folded = family.vllm_name(group.pattern)
        known = (
            folded.startswith(owners)
            or folded in roots
            or folded.rpartition(".")[0] in roots
            or name.rpartition(".")[0] in roots
            or name in roots
        )
        if not known and not name.startswith(family.unused) and not folded.endswith(_COMPUTED):
            left[group.pattern] += headers.total_bytes((group,))
    return left
