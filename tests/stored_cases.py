"""Models of every family, as metadata and facts, and the safetensors headers that their modules would be stored as."""

from collections.abc import Iterator
from dataclasses import replace

from model_cases import DATA, config_of
from modelserving.hub.catalogue import as_metadata, bundled
from modelserving.models.facts import ModelFacts, Module, Quantization, Section, Stage
from modelserving.models.families import FAMILIES
from modelserving.models.families.family import Family
from modelserving.models.metadata import ModelMetadata, Origin, TensorGroup
from modelserving.models.reader import read_facts
from unit.models.test_families import CONFIGS, config_for

BITS_OF_A_WORD = 32


def _metadata() -> Iterator[tuple[str, ModelMetadata]]:
    """Every entry of the catalogue, of tests/data/configs, and a small config of every architecture."""
    for model, entry in bundled().items():
        yield model, as_metadata(entry)
    for folder in sorted((DATA / "configs").iterdir()):
        if folder.is_dir():
            yield folder.name, ModelMetadata(folder.name, "main", Origin.FILE, config_of(folder.name))
    for architecture in CONFIGS:
        yield architecture, ModelMetadata(architecture, "main", Origin.FILE, config_for(architecture))


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
