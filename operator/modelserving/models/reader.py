"""config.json and tensor inventory -> facts of the model, or a refusal that names the field.

Total: any JSON gives an answer. Two roads lead to the modules: from safetensors headers, and from config.json alone by
the family's description; they give the same bytes, and the headers win where both are there.
"""

from collections.abc import Mapping
from dataclasses import replace

from modelserving.models import headers, undescribed
from modelserving.models.facts import (
    AttentionKind,
    FactsRefusal,
    ModelFacts,
    Module,
    Quantization,
    Section,
    Split,
    Stage,
)
from modelserving.models.families import FAMILIES, family_of
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields, InvalidFieldError, show
from modelserving.models.heads import fit_head
from modelserving.models.ignored import scheme_of, tells_layers_apart, unreadable
from modelserving.models.inventory import HeadersIncompleteError, Inventory, unexplained
from modelserving.models.metadata import ModelMetadata, Origin
from modelserving.models.stored_quantization import names_no_method, read_quantization
from modelserving.models.undescribed import describe_undescribed

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_DTYPES = {"bfloat16": "bfloat16", "float16": "float16", "half": "float16", "float32": "float32", "float": "float32"}
_STORED_DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
# Scale parameters of the KV cache, name and dtype (None: the model's): vLLM 0.32 layers/quantization/kv_cache.py; for
# compressed-tensors as its model class holds them on the meta device.
_FP8_SCALES: tuple[tuple[str, str | None], ...] = tuple(
    (f"{name}_scale", "float32") for name in ("q", "k", "v", "prob")
)
_MIXED = "modelopt_mixed"
_KV_SCALES: Mapping[str, tuple[tuple[str, str | None], ...]] = {
    "fp8": _FP8_SCALES,
    "modelopt": _FP8_SCALES,
    "modelopt_fp4": _FP8_SCALES,
    "modelopt_mxfp8": _FP8_SCALES,
    _MIXED: _FP8_SCALES,
    "compressed-tensors": (*_FP8_SCALES[:3], ("q_zero_point", None), ("k_zero_point", None), ("v_zero_point", None)),
}
# Kinds of attention whose layers have such scales; latent attention has them with ModelOpt only.
_SCALED = (AttentionKind.FULL, AttentionKind.SLIDING_WINDOW, AttentionKind.CHUNKED_LOCAL, AttentionKind.CROSS)
# A total that differs by more than this from the modules' sum is told to the user.
_TOTAL_TOLERANCE = 0.01
# Tensors nobody explains are told from this share of the checkpoint on.
_UNEXPLAINED_SHARE = 0.005


def read_facts(metadata: ModelMetadata) -> ModelFacts | FactsRefusal:
    """Understand a checkpoint."""
    try:
        return _read(metadata)
    except InvalidFieldError as error:
        return FactsRefusal(
            "ConfigInvalid",
            f"config.json of {show(metadata.model)}: {error}. Fix the checkpoint, or name another model.",
        )


def _read(metadata: ModelMetadata) -> ModelFacts | FactsRefusal:
    if not isinstance(metadata.config, Mapping):
        raise InvalidFieldError(f"it is {show(metadata.config)} and must be an object")
    config = Fields(metadata.config)
    architectures = config.texts("architectures")
    if not architectures:
        raise InvalidFieldError("architectures is missing")
    family = family_of(architectures[0])
    if family is None and not metadata.tensors:
        return _unknown(metadata, architectures[0])
    if family is None:
        family = Family(undescribed.NAME, (), lambda fields: describe_undescribed(fields, metadata.tensors))
    described = family.describe(config)
    if family.name != undescribed.NAME:
        described = fit_head(described, family, metadata.tensors, metadata.config)
    quantization = _in_vllm_names(read_quantization(metadata), family)
    sections, assumptions = _sections(metadata, family, described, quantization)
    dtype, dtype_assumptions = _stored_dtype(config, metadata)
    parameters = _parameter_count(sections)
    assumptions += described.assumptions + dtype_assumptions + _total_assumptions(metadata, parameters, quantization)
    if names_no_method(config):
        assumptions += (
            "quantization_config in config.json has no quant_method: vLLM takes the weights for unquantized ones",
        )
    if quantization is not None and not quantization.known:
        assumptions += (
            f"the layout of {quantization.method} weights is not known: sized by {quantization.bits} bits a weight",
        )
    return ModelFacts(
        model=metadata.model,
        revision=metadata.revision,
        origin=metadata.origin,
        architecture=architectures[0],
        model_type=config.text("model_type"),
        family=family.name,
        parameter_count=parameters,
        stored_dtype=dtype,
        max_model_len=_usable_length(described, metadata.origin),
        hidden_size=described.hidden_size,
        intermediate_size=described.intermediate_size,
        vocab_size=described.vocab_size,
        num_layers=described.num_layers,
        num_attention_heads=described.num_attention_heads,
        num_kv_heads=described.num_kv_heads,
        head_size=described.head_size,
        sections=sections,
        attention=described.attention,
        checkpoint_bytes=headers.total_bytes(metadata.tensors) or _stored_bytes(sections, dtype, quantization),
        stored_quantization=quantization,
        vision=described.vision,
        experts=described.experts,
        latent_attention=described.latent_attention,
        tie_word_embeddings=described.tie_word_embeddings,
        runs_instead=described.runs_instead,
        supports_pipeline=described.supports_pipeline,
        unnamed_quantization=names_no_method(config),
        pooling=described.pooling,
        whole_prompt=described.whole_prompt,
        brings_code=_brings_code(config),
        assumptions=assumptions,
    )


def _usable_length(described: Description, origin: Origin) -> int:
    """The longest context that vLLM derives: on the Hub the tokenizer's files, which are not read, state the shorter one."""
    return described.max_model_len - (described.beyond_tokenizer if origin is Origin.HUB else 0)


def _in_vllm_names(quantization: Quantization | None, family: Family) -> Quantization | None:
    """Module names of a quantization in vLLM's naming, besides the checkpoint's."""
    if quantization is None:
        return None

    def named(entries: tuple[str, ...]) -> tuple[str, ...]:
        spelled = tuple(piece for entry in entries for piece in _whole_tree(entry))
        return tuple(dict.fromkeys((*entries, *(family.vllm_name(entry) for entry in spelled))))

    overrides = tuple((named(entries), scheme) for entries, scheme in quantization.overrides)
    return replace(quantization, ignored=named(quantization.ignored), overrides=overrides)


def _whole_tree(entry: str) -> tuple[str, ...]:
    """`tree*` as the module and what is below it, so that a family's prefixes match (modelopt.py, apply_vllm_mapper)."""
    if entry.startswith("re:") or not entry.endswith("*") or entry.endswith(".*"):
        return (entry,)
    return (entry[:-1], f"{entry[:-1]}.*")


def _unknown(metadata: ModelMetadata, architecture: str) -> FactsRefusal:
    return FactsRefusal(
        "UnknownArchitecture",
        f"{metadata.model} has the architecture {show(architecture)}, which this operator cannot size from config.json "
        f"alone; {len(FAMILIES)} families it can, `modelserving` documents them. Give it the checkpoint with safetensors "
        "headers that it can read, or name another model.",
        architecture,
    )


def _brings_code(config: Fields) -> bool:
    """Whether config.json names a config class beside it: transformers loads that where it is allowed to."""
    auto = config.raw("auto_map")
    return isinstance(auto, Mapping) and bool(auto.get("AutoConfig"))


def _sections(
    metadata: ModelMetadata, family: Family, described: Description, quantization: Quantization | None
) -> tuple[tuple[Section, ...], tuple[str, ...]]:
    """Sections by the better road, with sentences on what was assumed."""
    assumptions: tuple[str, ...] = ()
    sections = None
    if family.name == undescribed.NAME:
        return described.sections, ()
    if metadata.tensors:
        try:
            sections = Inventory(metadata.tensors, family, quantization).sections(described.sections)
        except HeadersIncompleteError as error:
            assumptions += (f"safetensors headers do not match {family.name}: {error}; sized from config.json instead",)
        else:
            assumptions += _header_assumptions(metadata, family, described, sections)
    if sections is None:
        sections = described.sections
        if quantization is not None:
            assumptions += tuple(
                f"the ignore entry {show(entry)} was not applied" for entry in unreadable(quantization)
            )
            sections = tuple(part for section in sections for part in _mark_quantized(section, quantization))
    if quantization is not None and family.cache_scales:
        sections += _kv_scales(described, quantization)
    return sections, assumptions


def _header_assumptions(
    metadata: ModelMetadata, family: Family, described: Description, sections: tuple[Section, ...]
) -> tuple[str, ...]:
    sentences = []
    stored, derived = _parameter_count(sections), _parameter_count(described.sections)
    if stored != derived:
        sentences.append(
            f"safetensors headers hold {stored:,} parameters, config.json describes {derived:,}; the headers were used"
        )
    left = unexplained(metadata.tensors, family, described.sections)
    if sum(left.values()) > _UNEXPLAINED_SHARE * headers.total_bytes(metadata.tensors):
        sentences.append(
            f"{len(left)} kinds of stored tensors, {sum(left.values()):,} bytes, were taken as not loaded by vLLM: "
            f"{show(next(iter(left)))}, …"
        )
    return tuple(sentences)


def _mark_quantized(section: Section, quantization: Quantization) -> list[Section]:
    """Mark what the checkpoint stores quantized; layers that differ become sections of their own."""
    if section.buffers:
        return [section]
    variants: dict[tuple[Module, ...], list[int]] = {}
    in_layers = section.stage is Stage.LAYERS
    indices = section.layers if in_layers else tuple(range(section.repeats))
    if indices and not tells_layers_apart(quantization):
        return [
            replace(section, modules=tuple(_marked(module, indices[0], quantization) for module in section.modules))
        ]
    for index in indices:
        modules = tuple(_marked(module, index, quantization) for module in section.modules)
        variants.setdefault(modules, []).append(index)
    return [
        replace(section, modules=modules, layers=tuple(at) if in_layers else (), repeats=1 if in_layers else len(at))
        for modules, at in variants.items()
    ]


def _marked(module: Module, index: int, quantization: Quantization) -> Module:
    # A head is quantized where the checkpoint says so, or where it names every module that is.
    head = module.name.endswith("lm_head") and module.tied_to is None
    reached = module.quantizable or (head and (quantization.lm_head or quantization.only_named))
    if quantization.experts_only and not module.experts:
        reached = False
    scheme = scheme_of(module, index, quantization) if reached else None
    return replace(module, quantized=scheme is not None, scheme=None if scheme is quantization else scheme)


def _kv_scales(described: Description, quantization: Quantization) -> tuple[Section, ...]:
    """Scale parameters that these methods give each attention layer, whether the checkpoint fills them or not."""
    # Layer by layer, ModelOpt gives attention layers scales only with a scheme for the cache (modelopt.py, ModelOptMixedPrecision).
    named = quantization.method if quantization.method != _MIXED or quantization.kv_cache_scheme is not None else ""
    modules = tuple(
        Module(f"attn.{name}", Split.REPLICATED, 1, (1,), fixed_dtype=dtype)
        for name, dtype in _KV_SCALES.get(named, ())
    )
    latent = quantization.method.startswith("modelopt")
    kinds = _SCALED if not latent else (*_SCALED, AttentionKind.MLA)
    groups = [group.layers for group in described.attention if group.kind in kinds and not group.is_indexer]
    return tuple(Section(Stage.LAYERS, modules, layers=layers, buffers=True) for layers in groups) if modules else ()


def _parameter_count(sections: tuple[Section, ...]) -> int:
    return sum(
        module.parameter_count * section.count
        for section in sections
        if not section.buffers
        for module in section.modules
        if module.tied_to is None
    )


def _stored_bytes(sections: tuple[Section, ...], dtype: str, quantization: Quantization | None) -> int:
    """Bytes on disk, derived: quantized weights by their bits and scales, all else in the stored dtype."""
    total = 0
    for section in sections:
        if section.buffers:
            continue
        for module in section.modules:
            if module.tied_to is None:
                total += section.count * _module_bytes(module, _BYTES[dtype], quantization)
    return total


def _module_bytes(module: Module, size: int, quantization: Quantization | None) -> int:
    scheme = module.scheme or quantization
    if scheme is None or not module.quantized:
        return module.parameter_count * size
    count, rows = max(1, module.experts), sum(module.out_features)
    weights = count * rows * module.in_features
    groups = weights // scheme.group_size if scheme.group_size else count * rows
    zero_points = groups * scheme.bits // 8 if scheme.zero_point else 0
    scale = 1 if scheme.is_float and scheme.group_size else size
    biases = count * rows * size if module.bias else 0
    return weights * scheme.bits // 8 + groups * scale + zero_points + biases


def _stored_dtype(config: Fields, metadata: ModelMetadata) -> tuple[str, tuple[str, ...]]:
    """What `--dtype auto` starts from (vLLM config/model.py `_find_dtype`): config.json, then the tensors, then float32."""
    parts = [config, *(part for key in ("text_config", "vision_config") if (part := config.part(key)) is not None)]
    for part in parts:
        for key in ("dtype", "torch_dtype"):
            if part.raw(key) is not None:
                written = part.text(key).removeprefix("torch.")
                if written not in _DTYPES:
                    raise part.fail(key, f"one of {', '.join(_DTYPES)}")
                return _DTYPES[written], ()
    stored = headers.parameters_by_dtype(metadata.tensors) or dict(metadata.parameter_totals)
    found = {_STORED_DTYPES[name] for name, count in stored.items() if name in _STORED_DTYPES and count}
    if len(found) == 1:
        return found.pop(), ()
    if found:
        # Of float16 and bfloat16 together vLLM makes the type both fit into (common_broadcastable_dtype).
        return "float32", ("config.json names no dtype and the tensors have several: float32 was taken, as vLLM does",)
    return "float32", ("config.json names no dtype and no tensor was seen: float32 was taken, as vLLM does",)


def _total_assumptions(metadata: ModelMetadata, parameters: int, quantization: Quantization | None) -> tuple[str, ...]:
    """Compare with the totals that the source states; packed weights cannot be compared."""
    totals = [count for count in metadata.parameter_totals.values() if isinstance(count, int) and count > 0]
    if metadata.tensors or quantization is not None or not totals:
        return ()
    stated = sum(totals)
    if abs(stated - parameters) <= _TOTAL_TOLERANCE * parameters:
        return ()
    return (f"the source states {stated:,} parameters, vLLM's modules make {parameters:,}",)
