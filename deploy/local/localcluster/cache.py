"""Folders that are expensive to make, made once for all checkouts of this user.

They live in `${XDG_CACHE_HOME:-~/.cache}/modelserving/local/NAME-KEY`. A folder is made beside its place and moved there in
one step, under a lock: a build that is cut short leaves nothing behind that looks finished, and two builders do not collide.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_root() -> Path:
    """Return the folder that holds everything this package keeps; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "modelserving" / "local"


def digest(*parts: bytes | str) -> str:
    """Return a short hash that changes with any of `parts` and with where one part ends and the next begins."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "big") + data)
    return sha.hexdigest()[:16]


def cached_directory(name: str, make: Callable[[Path], None]) -> Path:
    """Return the cached folder called `name`; if there is none, let `make` fill an empty one that then becomes it.

    Raises:
        Whatever `make` raises; the unfinished folder is removed.
    """
    root = cache_root()
    final = root / name
    if final.is_dir():
        return final
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is making {final}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if final.is_dir():
            return final
        work = Path(tempfile.mkdtemp(prefix=f"{name}.unfinished-", dir=root))
        try:
            make(work)
            work.rename(final)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return final


def say(message: str) -> None:
    """Tell the user, on standard error, what is going on."""
    print(f"localcluster: {message}", file=sys.stderr, flush=True)
