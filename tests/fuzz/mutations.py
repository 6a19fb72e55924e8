"""Configs and headers made hostile: what a careless tool, a broken download or an attacker would write.

Each mutation changes a few places anywhere in the JSON. `random.Random` decides, so a seed gives the same input again.
"""

import copy
import random
from typing import Any

from modelserving.models.metadata import TensorGroup

_MOST_CHANGES = 4
_LARGE = 2**31
# An architecture nobody knows ends the reading at once: few inputs have one.
_OTHER_ARCHITECTURE = 0.1
# Of the changes to a number, how many leave it a number.
_KEPT_A_NUMBER = 0.8
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, -(2**63), 2**31 - 1, 2**31, 2**63, 10**30, 10**400),
    *(0.5, -0.5, 1e308, -1e308, 5e-324, float("nan"), float("inf")),
    *(
        "",
        "0",
        "-1",
        "auto",
        "a" * 5000,
        "\ud800",
        "re:(a+)+$",
        "re:.*.*.*.*.*.*x",
        "*",
        "model.layers.*",
        "../../etc/passwd",
    ),
    *(
        [],
        [[]],
        [None],
        [-1],
        [0] * 3,
        list(range(300)),
        ["full_attention"] * 5,
        {},
        {"": {}},
        {"type": "yarn", "factor": -4},
    ),
    *(
        {"quant_method": "awq"},
        {"quant_method": "fp8", "weight_block_size": [0, -128]},
        {"rope_type": [], "factor": "x"},
    ),
)
DTYPES = ("BF16", "F16", "F32", "F8_E4M3", "U8", "I8", "I32", "I64", "F4", "BOOL", "", "bf16", "Q4_K", "F128")


def mutated(config: dict[str, Any], donors: list[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    """A config with a few changes; donors give values that are right somewhere else."""
    changed = copy.deepcopy(config)
    for _ in range(_changes(chance)):
        owner, key = _place(changed, chance)
        if key != "architectures" or chance.random() < _OTHER_ARCHITECTURE:
            _change(owner, key, donors, chance)
    return changed


def _changes(chance: random.Random) -> int:
    """Half of the inputs have one change, so that what is deep inside is reached and not only the first check."""
    return 1 if chance.random() < 0.5 else chance.randint(2, _MOST_CHANGES)


def _place(config: dict[str, Any], chance: random.Random) -> tuple[Any, Any]:
    """Any key of any object, or any index of any list, the outermost more often."""
    owner: Any = config
    while True:
        keys = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
        if not keys:
            return owner, "new" if isinstance(owner, dict) else 0
        key = chance.choice(keys)
        if not isinstance(owner[key], dict | list) or not owner[key] or chance.random() < 0.3:
            return owner, key
        owner = owner[key]


def _change(owner: Any, key: Any, donors: list[dict[str, Any]], chance: random.Random) -> None:
    if isinstance(owner, list) and not owner:
        owner.append(chance.choice(HOSTILE))
        return
    value = owner.get(key) if isinstance(owner, dict) else owner[key]
    is_kept = chance.random() < _KEPT_A_NUMBER
    if is_kept and isinstance(value, int | float) and not isinstance(value, bool):
        owner[key] = _scaled(value, chance)
        return
    kind = chance.randrange(7)
    if kind == 0 and (isinstance(owner, list) or key in owner):
        del owner[key]
    elif kind == 1 and isinstance(owner, dict):
        donor = chance.choice(donors)
        name = chance.choice([name for name in donor if name != "architectures"])
        owner[name] = copy.deepcopy(donor[name])
    elif kind == 2:
        owner[key] = [copy.deepcopy(value)] * chance.choice((1, 2, 100))
    elif kind == 3:
        owner[key] = {"nested": copy.deepcopy(value)}
    elif kind == 4 and isinstance(value, str):
        owner[key] = value[: chance.randint(0, len(value))] + chance.choice(("", "*", "\x00", "|", "(", "é"))
    elif kind == 5 and isinstance(value, list):
        owner[key] = value * chance.choice((0, 2, 50))
    else:
        owner[key] = copy.deepcopy(chance.choice(HOSTILE))


def _scaled(value: float, chance: random.Random) -> Any:
    """A number near by, more often than one far off, below zero, or written as a text."""
    if abs(value) > _LARGE**2 or chance.random() < 0.6:
        return chance.choice((value + 1, value - 1, value * 2, value // 2, value * 8, value // 8, value * 3, 1, 2))
    return chance.choice((-value, 0, value * 1000, value * _LARGE, float(value), str(value), value + 0.5))


def mutated_headers(tensors: tuple[TensorGroup, ...], chance: random.Random) -> tuple[TensorGroup, ...]:
    """Headers with tensors missing, renamed, of other shapes, dtypes and counts."""
    changed = list(tensors)
    for _ in range(_changes(chance)):
        if not changed:
            return ()
        at = chance.randrange(len(changed))
        group = changed[at]
        kind = chance.randrange(6)
        if kind == 0:
            del changed[at]
        elif kind == 1:
            changed[at] = TensorGroup(
                _renamed(group.pattern, chance), group.shape, group.dtype, group.count, group.layers
            )
        elif kind == 2:
            changed[at] = TensorGroup(
                group.pattern, _shape(group.shape, chance), group.dtype, group.count, group.layers
            )
        elif kind == 3:
            changed[at] = TensorGroup(group.pattern, group.shape, chance.choice(DTYPES), group.count, group.layers)
        elif kind == 4:
            layers = tuple(sorted(chance.sample(range(1000), chance.randint(0, 5))))
            changed[at] = TensorGroup(group.pattern, group.shape, group.dtype, max(1, len(layers)), layers)
        else:
            changed.append(chance.choice(changed))
    return tuple(changed)


def _renamed(pattern: str, chance: random.Random) -> str:
    pieces = pattern.split(".")
    pieces[chance.randrange(len(pieces))] = chance.choice(
        ("", "*", "weight", "qweight", "lm_head", "experts", "x" * 300, "é")
    )
    return ".".join(pieces)


def _shape(shape: tuple[int, ...], chance: random.Random) -> tuple[int, ...]:
    sides = list(shape)
    kind = chance.randrange(4)
    if kind == 0 or not sides:
        return tuple(chance.choice((0, 1, 3, 2**31)) for _ in range(chance.randint(0, 4)))
    at = chance.randrange(len(sides))
    sides[at] = chance.choice((0, 1, sides[at] + 1, sides[at] * 2, sides[at] // 2, 2**31))
    return tuple(sides) if kind < 3 else tuple(reversed(sides))
