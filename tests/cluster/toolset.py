"""The programs that a test control plane runs: which, from where, in which version.

The Go tool modules in `go/` pin everything; versions are read from their `go.mod`, so an update changes that
one file. This module only describes; `binaries.py` finds and builds. `product_of` raises `KeyError` for a
program that nobody described.
"""

from __future__ import annotations

import functools
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

TOOL_MODULES = Path(__file__).with_name("go")

_ALERTMANAGER_PAGE = (
    "<!doctype html><title>Alertmanager</title><p>Built without its web pages; the API is at /api/v2/.</p>\n"
)


class Version(NamedTuple):
    """A release number; build metadata and pre-release tags are left out."""

    major: int
    minor: int
    patch: int

    @classmethod
    def find(cls, text: str) -> Version | None:
        """Returns the first release number in what a program says about itself."""
        match = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", text)
        return cls(*map(int, match.groups())) if match else None

    def same_minor(self, found: Version) -> bool:
        """Whether `found` differs from this in the patch number only."""
        return found[:2] == self[:2]

    def near_minor(self, found: Version) -> bool:
        """Whether `found` is at most one minor version away, as kubectl may be."""
        return found.major == self.major and abs(found.minor - self.minor) <= 1

    def same_major(self, found: Version) -> bool:
        """Whether `found` has the same major number."""
        return found.major == self.major

    def serves_kubernetes(self, found: Version) -> bool:
        """Whether `found` is an etcd that present Kubernetes versions support."""
        return found.major == self.major and found >= (3, 5, 0)

    def __str__(self) -> str:
        """Returns the number as upstream writes it."""
        return f"{self.major}.{self.minor}.{self.patch}"


class Program(NamedTuple):
    """One executable: its Go package, how it tells its version, which others would do as well."""

    package: str
    version_arguments: tuple[str, ...]
    accepts: Callable[[Version], bool]
    accepted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Programs of one upstream project, built together.

    Attributes:
        name: First part of the cache folder's name.
        folder: The tool module beneath `go/`.
        version: What `go.mod` pins.
        programs: By the executable's name.
        link_flags: Given to `go build -ldflags`.
        tags: Build tags.
        usual_time: How long a build takes with nothing cached, for the progress line.
        module: The Go module that `absent_files` belong to.
        absent_files: Generated files that upstream's module lacks and its build wants, with a stand-in's text.
    """

    name: str
    folder: str
    version: Version
    programs: Mapping[str, Program]
    link_flags: str
    usual_time: str
    tags: str = ""
    module: str = ""
    absent_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def module_folder(self) -> Path:
        """The folder of the tool module's go.mod."""
        return TOOL_MODULES / self.folder


def pinned(folder: str, *, module: str) -> Version:
    """Returns the version that the tool module `folder` requires of `module`."""
    path = TOOL_MODULES / folder / "go.mod"
    match = re.search(rf"^(?:require)?\s*{re.escape(module)} v(\S+)", path.read_text(), flags=re.MULTILINE)
    version = Version.find(match[1]) if match else None
    if version is None:
        raise ValueError(f"{path} requires no {module}: run `go get {module}` there")
    return version


def platform_name() -> tuple[str, str]:
    """Returns this machine's GOOS and GOARCH."""
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@functools.cache
def products() -> tuple[Product, ...]:
    """Returns everything that is described, in the order in which it is built."""
    return (_kubernetes(), _etcd(), _kwok(), _helm(), _prometheus(), _alertmanager(), _keda())


def product_of(program: str) -> Product:
    """Returns the product that `program` belongs to."""
    for product in products():
        if program in product.programs:
            return product
    raise KeyError(f"no tool is called {program}: add it to {__file__}")


def _kubernetes() -> Product:
    version = pinned("kubernetes", module="k8s.io/kubernetes")
    stamp = "k8s.io/component-base/version"
    series = f"{version.major}.{version.minor}"

    def server(name: str) -> Program:
        return Program(f"k8s.io/kubernetes/cmd/{name}", ("--version",), version.same_minor, f"{series}.*")

    client = Program(
        "k8s.io/kubernetes/cmd/kubectl", ("version", "--client"), version.near_minor, f"{series} or one minor beside"
    )
    servers = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    return Product(
        name="kubernetes",
        folder="kubernetes",
        version=version,
        programs={**{name: server(name) for name in servers}, "kubectl": client},
        # Unstamped binaries say v0.0.0-master, which clients refuse to parse.
        link_flags=(
            f"-s -w -X {stamp}.gitVersion=v{version}"
            f" -X {stamp}.gitMajor={version.major} -X {stamp}.gitMinor={version.minor}"
        ),
        usual_time="7 to 12 min on 2 cores",
    )


def _etcd() -> Product:
    version = pinned("etcd", module="go.etcd.io/etcd/server/v3")
    program = Program("go.etcd.io/etcd/server/v3", ("--version",), version.serves_kubernetes, "3.5 or later")
    return Product(
        name="etcd",
        folder="etcd",
        version=version,
        programs={"etcd": program},
        link_flags="-s -w",
        usual_time="1.5 min on 2 cores",
    )


def _kwok() -> Product:
    version = pinned("kubernetes", module="sigs.k8s.io/kwok")
    accepted = f"{version.major}.{version.minor}.*"
    program = Program("sigs.k8s.io/kwok/cmd/kwok", ("--version",), version.same_minor, accepted)
    return Product(
        name="kwok",
        folder="kubernetes",
        version=version,
        programs={"kwok": program},
        link_flags=f"-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v{version}",
        usual_time="1.5 min on 2 cores, a few seconds after kubernetes",
    )


def _helm() -> Product:
    version = pinned("kubernetes", module="helm.sh/helm/v3")
    cluster = pinned("kubernetes", module="k8s.io/kubernetes")
    base = "helm.sh/helm/v3"
    program = Program(f"{base}/cmd/helm", ("version", "--short"), version.same_major, f"{version.major}.*")
    # Unstamped, `helm template` renders for Kubernetes 1.20.
    stamps = [f"-X {base}/internal/version.version=v{version}"]
    for package in ("chartutil", "lint/rules"):
        stamps.append(f"-X {base}/pkg/{package}.k8sVersionMajor={cluster.major}")
        stamps.append(f"-X {base}/pkg/{package}.k8sVersionMinor={cluster.minor}")
    return Product(
        name="helm",
        folder="kubernetes",
        version=version,
        programs={"helm": program},
        link_flags=" ".join(["-s -w", *stamps]),
        usual_time="1.5 min on 2 cores, a few seconds after kubernetes",
    )


def _prometheus() -> Product:
    base = "github.com/prometheus/prometheus"
    # Prometheus 3.16.0 is the Go module v0.316.0.
    module = pinned("prometheus", module=base)
    version = Version(module.minor // 100, module.minor % 100, module.patch)
    accepted = f"{version.major}.*"
    return Product(
        name="prometheus",
        folder="prometheus",
        version=version,
        programs={
            name: Program(f"{base}/cmd/{name}", ("--version",), version.same_major, accepted)
            for name in ("prometheus", "promtool")
        },
        link_flags=f"-s -w -X github.com/prometheus/common/version.Version={version}",
        # The clouds' service discovery is most of the compile time; files and static targets stay.
        tags="remove_all_sd",
        usual_time="3 min on 2 cores",
    )


def _alertmanager() -> Product:
    base = "github.com/prometheus/alertmanager"
    version = pinned("alertmanager", module=base)
    accepted = f"{version.major}.*"
    return Product(
        name="alertmanager",
        folder="alertmanager",
        version=version,
        programs={
            name: Program(f"{base}/cmd/{name}", ("--version",), version.same_major, accepted)
            for name in ("alertmanager", "amtool")
        },
        link_flags=f"-s -w -X github.com/prometheus/common/version.Version={version}",
        usual_time="2 min on 2 cores",
        module=base,
        absent_files={"ui/app/dist/index.html": _ALERTMANAGER_PAGE},
    )


def _keda() -> Product:
    base = "github.com/kedacore/keda/v2"
    version = pinned("keda", module=base)
    program = Program(f"{base}/cmd/operator", ("--help",), version.same_minor, f"{version.major}.{version.minor}.*")
    return Product(
        name="keda",
        folder="keda",
        version=version,
        programs={"keda-operator": program},
        link_flags="-s -w",
        usual_time="8 min on 2 cores",
    )
