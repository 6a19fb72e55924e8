"""What each pipeline stage of a model holds; what a tensor rank has of it is in `engine.shares`.

Source: vLLM 0.32 distributed/utils.py, model_executor/models/utils.py.
"""

from dataclasses import dataclass
from functools import lru_cache

from modelserving.models.facts import ModelFacts, Module, Section, Stage


@dataclass(frozen=True, slots=True)
class StageSection:
    """A section as one pipeline stage holds it: its modules, repeated."""

    section: Section
    repeats: int


@lru_cache(maxsize=1024)
def stage_layers(num_layers: int, pipeline_parallel_size: int) -> tuple[range, ...]:
    """Decoder layers of every pipeline stage; what is left over goes to the stages before the last (get_pp_indices)."""
    base, left = divmod(num_layers, pipeline_parallel_size)
    counts = [base] * pipeline_parallel_size
    for back in range(2, left + 2):
        counts[-back] += 1
    starts = [sum(counts[:index]) for index in range(pipeline_parallel_size)]
    return tuple(range(start, start + count) for start, count in zip(starts, counts, strict=True))


def stage_sections(
    facts: ModelFacts, stage: int, pipeline_parallel_size: int, with_towers: bool
) -> tuple[StageSection, ...]:
    """Sections that a pipeline stage holds, in the order vLLM builds them.

    A tied head takes nothing on a stage that holds the embedding too, and is a copy of it otherwise.
    """
    layers = stage_layers(facts.num_layers, pipeline_parallel_size)[stage]
    is_first, is_last = stage == 0, stage == pipeline_parallel_size - 1
    held = []
    for section in facts.sections:
        if section.tower and not with_towers:
            continue
        if section.stage is Stage.LAYERS:
            repeats = sum(layers.start <= index < layers.stop for index in section.layers)
        elif section.stage is Stage.FIRST:
            repeats = section.repeats * is_first
        elif section.stage is Stage.LAST:
            repeats = section.repeats * is_last
        else:
            repeats = section.repeats
        if repeats:
            held.append(StageSection(section, repeats))
    return tuple(held)


def is_duplicate(module: Module, stage: int, outer_config_ties: bool = True) -> bool:
    """Whether a tied module's weight is held already: the first stage has the embedding."""
    return module.tied_to is not None and stage == 0 and (outer_config_ties or not module.tied_by_outer)


def keeps_towers(facts: ModelFacts, limit_mm_per_prompt: tuple[tuple[str, int], ...]) -> bool:
    """Whether multimodal towers are built: not when every modality is limited to zero items."""
    return facts.vision is not None and _wanted(facts.vision.modalities, limit_mm_per_prompt)


def keeps(section: Section, limit_mm_per_prompt: tuple[tuple[str, int], ...]) -> bool:
    """Whether a section is built: a tower with modalities of its own not when all of them are limited to zero items."""
    return not section.modalities or _wanted(section.modalities, limit_mm_per_prompt)


def _wanted(modalities: tuple[str, ...], limit_mm_per_prompt: tuple[tuple[str, int], ...]) -> bool:
    limits = dict(limit_mm_per_prompt)
    return any(limits.get(modality, 1) > 0 for modality in modalities)


@lru_cache(maxsize=1024)
def alike_stages(facts: ModelFacts, pipeline_parallel_size: int) -> tuple[int, ...]:
    """For every pipeline stage the first one that holds the same: what is found of that one holds of all of them.

    The first and the last stage are like no other: the one holds the embedding, the other samples.
    """
    known: dict[object, int] = {}
    found = []
    layers = stage_layers(facts.num_layers, pipeline_parallel_size)
    for stage in range(pipeline_parallel_size):
        held = stage_sections(facts, stage, pipeline_parallel_size, with_towers=True)
        sections = tuple((id(one.section), one.repeats) for one in held)
        ends = (stage == 0, stage == pipeline_parallel_size - 1)
        found.append(known.setdefault((ends, len(layers[stage]), sections), stage))
    return tuple(found)
