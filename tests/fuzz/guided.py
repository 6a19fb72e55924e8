"""Inputs guided by coverage: atheris chooses a model, the mutations and raw values of fields."""

import json
import random
import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["modelserving.models", "modelserving.engine", "modelserving.sizing"]):
    from fuzz.mutations import mutated
    from fuzz.verdict import DONORS, SEEDS, check_config

LONGEST_SECONDS = 5
NAMES = sorted(SEEDS)


def guided(inputs: int) -> None:
    """Ask about so many inputs; libFuzzer prints what it finds and ends the process."""
    atheris.Setup([sys.argv[0], f"-runs={inputs}", f"-timeout={LONGEST_SECONDS}", "-max_len=256"], _ask)
    atheris.Fuzz()


def _ask(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    chance = random.Random(provider.ConsumeIntInRange(0, 2**32 - 1))
    config: Any = mutated(SEEDS[NAMES[provider.ConsumeIntInRange(0, len(NAMES) - 1)]], DONORS, chance)
    keys = sorted(config)
    while provider.remaining_bytes() > 8 and keys:
        config[keys[provider.ConsumeIntInRange(0, len(keys) - 1)]] = _value(provider)
    check_config(config, chance)


def _value(provider: Any) -> Any:
    kind = provider.ConsumeIntInRange(0, 4)
    if kind == 0:
        return provider.ConsumeInt(8)
    if kind == 1:
        return provider.ConsumeFloat()
    if kind == 2:
        return provider.ConsumeUnicodeNoSurrogates(16)
    if kind == 3:
        return [provider.ConsumeInt(2) for _ in range(provider.ConsumeIntInRange(0, 4))]
    try:
        return json.loads(provider.ConsumeUnicodeNoSurrogates(24))
    except (ValueError, RecursionError):
        return None
