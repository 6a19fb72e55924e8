"""Node sets: plain manifests in `deploy/local/nodes`, to start a cluster with or to hand to `modelserving plan --nodes`."""

import re
from pathlib import Path

from localcluster.errors import LocalClusterError

NODE_SETS = Path(__file__).parents[1] / "nodes"


def node_set(name: str) -> Path:
    """Return the file of a node set, such as `h100-80gb-x8` or `mixed`.

    Raises:
        LocalClusterError: there is none of that name.
    """
    file = NODE_SETS / f"{name}.yaml"
    if not file.is_file():
        raise LocalClusterError(f"there is no node set {name!r}; there are {', '.join(node_set_names())}")
    return file


def node_set_names() -> list[str]:
    """Return the names of all node sets."""
    return sorted(file.stem for file in NODE_SETS.glob("*.yaml"))


def many_nodes(template: Path, count: int, prefix: str | None = None) -> str:
    """Return the manifests of `count` nodes like the one in `template`, named `PREFIX-000`, `PREFIX-001`, ...

    Args:
        template: a manifest of one node.
        count: how many.
        prefix: what the names begin with; by default the name of the template's node without its last number.

    Raises:
        LocalClusterError: the template does not hold exactly one node.
    """
    text = re.sub(r"^#.*\n", "", template.read_text(), flags=re.MULTILINE)
    names = re.findall(r"^  name: (\S+)$", text, re.MULTILINE)
    if len(names) != 1:
        raise LocalClusterError(f"{template} must hold exactly one node to be multiplied; it holds {len(names)}")
    whole_name = re.compile(rf"(?<![\w.-]){re.escape(names[0])}(?![\w.-])")
    prefix = prefix or re.sub(r"-\d+$", "", names[0])
    return "---\n".join(whole_name.sub(f"{prefix}-{number:03d}", text) for number in range(count))
