"""Many hostile inputs: `make fuzz`, or `python -m fuzz --inputs 100000` with tests and operator on the path.

Configs of every family in the catalogue, mutated, and every tenth input headers instead; each must give an estimate or a
refusal with a reason within the limit of time. With `--atheris` coverage guides the mutations (`pip install .[fuzz]`). What
breaks is printed with the seed that makes it again.
"""

import argparse
import sys


def main() -> int:
    """Run as many inputs as asked for; 1 where one broke."""
    options = _options()
    if options.atheris:
        # Imported only here: it instruments what it imports.
        from fuzz.guided import guided

        guided(options.inputs)
        return 0
    from fuzz.many import many

    return many(options.seed, options.inputs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first input (%(default)s)")
    parser.add_argument("--atheris", action="store_true", help="let coverage guide the mutations")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
