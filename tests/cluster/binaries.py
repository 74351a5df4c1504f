"""Finds each program of the test control plane, or builds it, and says which of the two it does.

Order of preference: the folder that `KUBEBUILDER_ASSETS` names, PATH, the cache, `go build` from the tool
modules in `go/`. Installed programs count only in a version that the pinned one may be replaced by (the
table is in `toolset.py`); others are passed over silently. What is built lands in
`<cache>/bin/<product>-<version>-<12 hex>/`, the hex digits being a hash of everything that decides the result.

Progress goes to standard error, one line at a time. Failures raise `ToolError` with a remedy.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.cluster.cache import CacheEntry, cache_root
from tests.cluster.gobuild import ToolError, build, module_source
from tests.cluster.toolset import Product, Version, pinned, platform_name, product_of, products

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
MONITORING = ("prometheus", "promtool", "alertmanager", "amtool")
SELDOM = ("keda-operator",)
"""Built when a slow test wants them."""
ALL = tuple(name for product in products() for name in product.programs if name not in SELDOM)

_GATEWAY_CRDS = ("config/crd/standard/*.yaml",)
_ARGO_CD_CRDS = ("manifests/crds/application-crd.yaml",)
_KEDA_CRDS = ("config/crd/bases/keda.sh_scaledobjects.yaml",)
_ALL_KEDA_CRDS = ("config/crd/bases/*.yaml",)
_KWOK_STAGES = ("kustomize/stage/node/fast/node-*.yaml", "kustomize/stage/pod/fast/pod-*.yaml")


def say(line: str) -> None:
    """Prints one line of progress."""
    print(line, file=sys.stderr, flush=True)


def binaries(names: Iterable[str], *, say: Callable[[str], None] = say) -> dict[str, Path]:
    """Returns the path of each program in `names`, building what is neither installed nor cached."""
    names = list(names)
    found: dict[str, Path] = {}
    for product in products():
        wanted = [name for name in names if product_of(name) is product]
        missing = []
        for name in wanted:
            path = installed(name) or cache_entry(product, say=say).find(name)
            if path is None:
                missing.append(name)
            else:
                found[name] = path
        if missing:
            found |= _built(product, names=missing, say=say)
    return found


def binary(name: str, *, say: Callable[[str], None] = say) -> Path:
    """Returns the path of one program; see `binaries`."""
    return binaries([name], say=say)[name]


def installed(name: str) -> Path | None:
    """Returns an installed program of that name whose version will do."""
    product = product_of(name)
    assets = os.environ.get("KUBEBUILDER_ASSETS", "").strip()
    for place in ([assets] if assets else []) + [os.environ.get("PATH", os.defpath)]:
        path = shutil.which(name, path=place)
        if path is not None and _suits(path, name=name, product=product):
            return Path(path).absolute()
    return None


def cache_entry(product: Product, *, say: Callable[[str], None] = say) -> CacheEntry:
    """Returns the cache folder of `product` as it is pinned now."""
    digest = hashlib.sha256()
    for part in (product.module_folder / "go.mod", product.module_folder / "go.sum"):
        digest.update(part.read_bytes())
    digest.update("\0".join([product.link_flags, product.tags, *platform_name()]).encode())
    name = f"{product.name}-{product.version}-{digest.hexdigest()[:12]}"
    return CacheEntry(cache_root() / "bin" / name, say=say)


def gateway_crds(*, say: Callable[[str], None] = say) -> list[Path]:
    """Returns the files of Gateway API's standard channel: definitions and their upgrade guard."""
    return _module_files("sigs.k8s.io/gateway-api", folder="gateway-api", patterns=_GATEWAY_CRDS, say=say)


def argo_cd_crds(*, say: Callable[[str], None] = say) -> list[Path]:
    """Returns the definition of Argo CD's Application."""
    return _module_files("github.com/argoproj/argo-cd/v3", folder="argo-cd", patterns=_ARGO_CD_CRDS, say=say)


def keda_crds(*, whole: bool = False, say: Callable[[str], None] = say) -> list[Path]:
    """Returns the definition of KEDA's ScaledObject, or all of its definitions, which KEDA itself needs."""
    patterns = _ALL_KEDA_CRDS if whole else _KEDA_CRDS
    return _module_files("github.com/kedacore/keda/v2", folder="keda", patterns=patterns, say=say)


def kwok_stages(*, say: Callable[[str], None] = say) -> list[Path]:
    """Returns upstream's stages that make fake nodes and pods ready, and deleted pods gone, at once."""
    return _module_files("sigs.k8s.io/kwok", folder="kubernetes", patterns=_KWOK_STAGES, say=say)


def _built(product: Product, *, names: Sequence[str], say: Callable[[str], None]) -> dict[str, Path]:
    entry = cache_entry(product, say=say)
    with entry.locked() as scratch:
        # Another run may have made them while this one waited for the lock.
        missing = [name for name in names if entry.find(name) is None]
        if missing:
            entry.put(build(product, programs=missing, scratch=scratch, say=say))
    found = {name: entry.find(name) for name in names}
    broken = [name for name, path in found.items() if path is None]
    if broken:
        raise ToolError(f"{', '.join(broken)} vanished from {entry.folder}: remove that folder and repeat")
    return {name: path for name, path in found.items() if path is not None}


def _module_files(module: str, *, folder: str, patterns: Sequence[str], say: Callable[[str], None]) -> list[Path]:
    version = pinned(folder, module=module)
    key = hashlib.sha256("\0".join(patterns).encode()).hexdigest()[:12]
    # The last part of a module's path may be its major version, which is no name.
    name = next(part for part in reversed(module.split("/")) if not re.fullmatch(r"v\d+", part))
    entry = CacheEntry(cache_root() / "data" / f"{name}-{version}-{key}", say=say)
    if not entry.complete():
        with entry.locked() as scratch:
            say(f"copying data files of {module} {version} from its Go module")
            source = module_source(module, folder=folder)
            copies = {}
            for path in (path for pattern in patterns for path in source.glob(pattern)):
                copies[path.name] = Path(shutil.copyfile(path, scratch / path.name))
            if not copies:
                raise ToolError(f"{module} {version} has no {', '.join(patterns)}: adapt {__file__}")
            entry.put(copies)
    return [entry.folder / name for name in entry.names()]


def _suits(path: str, *, name: str, product: Product) -> bool:
    stat = Path(path).stat()
    version = _told_version(path, arguments=product.programs[name].version_arguments, changed=stat.st_mtime_ns)
    return version is not None and product.programs[name].accepts(version)


@functools.cache
def _told_version(path: str, *, arguments: tuple[str, ...], changed: int) -> Version | None:
    # `changed`, the time of the file's last change, is there for the cache's key only.
    try:
        told = subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Version.find(told.stdout + told.stderr)
