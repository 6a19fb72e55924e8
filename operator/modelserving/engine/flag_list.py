"""Every flag of `vllm serve`, as data, found the way vLLM's parser finds them: aliases, `_` for `-`, unique prefixes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

_DATA = "data/vllm_serve_flags.json"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    Attributes:
        name: its full name: `--tensor-parallel-size`.
        values: how many values it takes: `0`, `1`, `?` (none or one), `+` (one or more).
        choices: the only values it takes; empty means any.
    """

    name: str
    values: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlagList:
    """The flags of one vLLM version.

    Attributes:
        version: which.
        spellings: flag by every spelling that is taken whole: name, aliases, `--no-…`.
    """

    version: str
    spellings: Mapping[str, Flag]

    def find(self, spelled: str) -> tuple[str, ...]:
        """List the spellings that argparse would take this for: the exact one, or all that it abbreviates."""
        if spelled in self.spellings:
            return (spelled,)
        return tuple(sorted(name for name in self.spellings if name.startswith(spelled)))

    def nearest(self, spelled: str) -> str:
        """Name the flag that was probably meant, empty if none is near."""
        near = get_close_matches(spelled, self.spellings, n=1, cutoff=0.7)
        return near[0] if near else ""

    def covers(self, version: str) -> bool:
        """Whether a vLLM version has these flags: patch releases add none."""
        return version.removeprefix("v").split(".")[:2] == self.version.split(".")[:2]


@cache
def flag_list() -> FlagList:
    """Read the list that is packaged with the operator."""
    data = json.loads(files("modelserving.engine").joinpath(_DATA).read_text(encoding="utf-8"))
    spellings: dict[str, Flag] = {}
    for name, entry in data["flags"].items():
        flag = Flag(name, entry["values"], tuple(entry.get("choices", ())))
        spellings |= dict.fromkeys([name, *entry.get("also", ())], flag)
    return FlagList(data["version"], spellings)
