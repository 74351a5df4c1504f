"""A folder of files that were expensive to make, each checked against its checksum before use.

The cache lies outside the source tree: `$LAZARETTO_CACHE`, else `~/.cache/lazaretto`. Each entry is a folder
with a `SHA256SUMS` file as `sha256sum -c` reads it. A file that is missing there, or differs, counts as
absent, so an interrupted write or a corrupt disk costs a rebuild and never runs a broken program. Files
arrive by rename: a reader sees the old one or the new one. Writers take the entry's lock first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_SUMS = "SHA256SUMS"

# Checksums of files that were read in this process, by path, size and time of change: a test session asks
# for the same 400 MB of programs many times.
_known: dict[tuple[str, int, int], str] = {}


def cache_root() -> Path:
    """Returns the folder of everything that is kept between runs; it may not exist yet."""
    configured = os.environ.get("LAZARETTO_CACHE", "").strip()
    return Path(configured or "~/.cache/lazaretto").expanduser().absolute()


class CacheEntry:
    """One folder of the cache; see the module's text for what it promises."""

    def __init__(self, folder: Path, *, say: Callable[[str], None] = print) -> None:
        """Names the entry at `folder`; `say` receives a line when a file turns out corrupt."""
        self.folder = folder
        self._say = say

    def find(self, name: str) -> Path | None:
        """Returns the path of `name` when it is there and intact."""
        path = self.folder / name
        expected = self._sums().get(name)
        if expected is None or not path.is_file():
            return None
        if _checksum(path) != expected:
            self._say(f"{path} does not match its checksum: making it again")
            return None
        return path

    def names(self) -> list[str]:
        """Returns the names of all intact files, sorted."""
        return sorted(name for name in self._sums() if self.find(name) is not None)

    def complete(self) -> bool:
        """Returns whether the entry holds files and all of them are intact."""
        names = list(self._sums())
        return bool(names) and all(self.find(name) is not None for name in names)

    def put(self, files: Mapping[str, Path]) -> None:
        """Moves `files` (name in the cache to present path, same filesystem) into the entry."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sums = self._sums()
        for name, source in files.items():
            sums[name] = _checksum(source)
            os.replace(source, self.folder / name)
        # Last, so that a crash before it leaves files that count as absent.
        lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
        fresh = self.folder / f".{_SUMS}"
        fresh.write_text("".join(lines))
        os.replace(fresh, self.folder / _SUMS)

    @contextmanager
    def locked(self) -> Iterator[Path]:
        """Holds the entry's lock and yields an empty scratch folder on the same filesystem."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.folder.with_name(f".{self.folder.name}.new")
        with self.folder.with_name(f".{self.folder.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say(f"another run is making {self.folder.name}: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Left by a run that was killed while it held the lock.
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def _sums(self) -> dict[str, str]:
        try:
            text = (self.folder / _SUMS).read_text()
        except FileNotFoundError:
            return {}
        pairs = (line.split(maxsplit=1) for line in text.splitlines())
        return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}


def _checksum(path: Path) -> str:
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in _known:
        with path.open("rb") as file:
            _known[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _known[key]
