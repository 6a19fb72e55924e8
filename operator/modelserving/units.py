"""Bytes and Kubernetes quantities: integers inside, units at the edges.

GiB is 2^30 bytes, GB is 10^9 bytes; nothing here, or anywhere else, mixes them.
"""

import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation

KIB = 2**10
MIB = 2**20
GIB = 2**30
TIB = 2**40
GB = 10**9

# Suffixes of Kubernetes quantities: apimachinery/pkg/api/resource/suffix.go.
_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]{1,3})|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?))")
# A quantity is a fixed-point number of at most this many characters: longer ones are no quantity anybody meant.
_LONGEST_QUANTITY = 64


class QuantityError(ValueError):
    """The text is no Kubernetes quantity."""


def parse_quantity(text: str | float) -> Decimal:
    """Read a Kubernetes quantity (`1500m`, `80Gi`, `1e3`, `8`) as an exact decimal number.

    Raises:
        QuantityError: the text is no quantity.
    """
    written = str(text).strip()
    match = _QUANTITY.fullmatch(written) if len(written) <= _LONGEST_QUANTITY else None
    if match is None:
        raise QuantityError(
            f"{written[:_LONGEST_QUANTITY]!r} is no Kubernetes quantity; write for example 80Gi, 500m or 8"
        )
    number, exponent, suffix = match.groups()
    try:
        return Decimal(number + (exponent or "")) * _SUFFIXES[suffix or ""]
    except (InvalidOperation, KeyError) as error:
        raise QuantityError(f"{written!r} is no Kubernetes quantity") from error


def parse_whole(text: str | float) -> int:
    """Read a quantity as a whole number (bytes, devices), rounded up as Kubernetes does.

    Raises:
        QuantityError: the text is no quantity.
    """
    return int(parse_quantity(text).to_integral_value(ROUND_CEILING))


def parse_millis(text: str | float) -> int:
    """Read a quantity of CPU as whole millicores, rounded up.

    Raises:
        QuantityError: the text is no quantity.
    """
    return int((parse_quantity(text) * 1000).to_integral_value(ROUND_CEILING))


def memory_quantity(num_bytes: int) -> str:
    """Write bytes as a Kubernetes quantity in whole MiB, rounded up, the way people write requests."""
    mebibytes = -(-num_bytes // MIB)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def format_gib(num_bytes: int, digits: int = 1) -> str:
    """Write bytes for a person: `34.2 GiB`."""
    return f"{num_bytes / GIB:,.{digits}f} GiB"


def format_shortfall(num_bytes: int) -> str:
    """Write what is missing for a person: in GiB, and in whole MiB rounded up where tenths of a GiB would read 0.0."""
    return format_gib(num_bytes) if num_bytes >= GIB // 10 else f"{ceil_div(num_bytes, MIB)} MiB"


def ceil_div(dividend: int, divisor: int) -> int:
    """Divide rounding up."""
    return -(-dividend // divisor)


def round_up(number: int, multiple: int) -> int:
    """Round up to a multiple."""
    return -(-number // multiple) * multiple
