"""Builds programs, and fetches data files, from the pinned Go tool modules.

The module proxy and go.sum decide what is built; nothing else is downloaded. Builds are static
(CGO_ENABLED=0) and reproducible (-trimpath). A heartbeat line tells that a long build is alive. Failures
raise `ToolError`, which names the remedy or shows the end of the compiler's output.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cluster.toolset import TOOL_MODULES, Product

_HEARTBEAT_SECONDS = 15.0
_OUTPUT_TAIL_LINES = 20


class ToolError(RuntimeError):
    """A tool is neither installed nor cached and cannot be built; the text says what to do."""


def build(product: Product, *, programs: Sequence[str], scratch: Path, say: Callable[[str], None]) -> dict[str, Path]:
    """Builds `programs` of `product` in `scratch` and returns where each one lies."""
    names = ", ".join(programs)
    wanted = ", ".join(f"{name} {product.programs[name].accepted}" for name in programs)
    go = go_command(wanted, folder=product.module_folder)
    output = scratch / "out"
    output.mkdir()
    say(f"building {names} {product.version} from Go modules; cold this takes about {product.usual_time}")
    arguments = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", product.link_flags]
    if product.tags:
        arguments += ["-tags", product.tags]
    if product.absent_files:
        arguments += [f"-modfile={_completed_module(go, product=product, scratch=scratch)}"]
    packages = [product.programs[name].package for name in programs]
    arguments += ["-o", f"{output}/", *packages]
    started = time.monotonic()
    _run(arguments, what=names, folder=product.module_folder, log=scratch / "build.log", say=say)
    say(f"built {names} in {time.monotonic() - started:.0f} s")
    return {name: output / _executable_name(package) for name, package in zip(programs, packages, strict=True)}


def module_source(module: str, *, folder: str) -> Path:
    """Returns the unpacked source of `module` as the tool module `folder` pins it."""
    return _module_source(go_command(module, folder=TOOL_MODULES / folder), module=module, folder=folder)


def go_command(wanted_for: str, *, folder: Path) -> str:
    """Returns the path of a Go command that can build the module in `folder`."""
    needed = re.search(r"^go (\S+)$", (folder / "go.mod").read_text(), flags=re.MULTILINE)
    version = needed[1] if needed else "unknown"
    remedy = (
        f"install Go {version} or later (https://go.dev/dl), "
        "or put the program on PATH or in the folder that KUBEBUILDER_ASSETS names"
    )
    go = shutil.which("go")
    if go is None:
        raise ToolError(f"{wanted_for}: not installed, not cached, and there is no Go to build it: {remedy}")
    # Within the module's folder Go itself checks the version, and fetches a newer toolchain where allowed.
    told = subprocess.run(
        [go, "env", "GOVERSION"], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    if told.returncode != 0:
        raise ToolError(f"{wanted_for}: {go} cannot build it ({told.stderr.strip()}): {remedy}")
    found = told.stdout.strip().removeprefix("go")
    if _number(found) < _number(version):
        raise ToolError(f"{wanted_for}: {go} is version {found}, too old: {remedy}")
    return go


def _completed_module(go: str, *, product: Product, scratch: Path) -> Path:
    """Copies the product's module, adds the files that it lacks, and returns a go.mod that uses the copy.

    Upstream publishes the module without the generated files that its own package embeds, and Go allows no
    overlay beneath its module cache.
    """
    copy = scratch / "source"
    shutil.copytree(_module_source(go, module=product.module, folder=product.folder), copy)
    for path in [copy, *copy.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)  # the module cache is read-only, and so would the copy's folders be
    for name, text in product.absent_files.items():
        file = copy / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    go_mod = scratch / "go.mod"
    pinned_text = (product.module_folder / "go.mod").read_text()
    go_mod.write_text(f"{pinned_text}\nreplace {product.module} => {copy}\n")
    shutil.copyfile(product.module_folder / "go.sum", scratch / "go.sum")
    return go_mod


def _module_source(go: str, *, module: str, folder: str) -> Path:
    told = subprocess.run(
        [go, "mod", "download", "-json", module],
        cwd=TOOL_MODULES / folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(told.stdout or "{}")
    if "Dir" not in answer:
        reason = answer.get("Error") or told.stderr.strip()
        raise ToolError(f"cannot download the Go module {module}: {reason}; check GOPROXY and the network")
    return Path(answer["Dir"])


def _run(arguments: Sequence[str], *, what: str, folder: Path, log: Path, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    with log.open("wb") as output:
        compiler = subprocess.Popen(arguments, cwd=folder, env=_environment(), stdout=output, stderr=subprocess.STDOUT)
        try:
            while (status := _wait(compiler)) is None:
                say(f"  still building {what}: {time.monotonic() - started:.0f} s")
        except BaseException:
            compiler.terminate()
            compiler.wait()
            raise
    if status != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_OUTPUT_TAIL_LINES:])
        raise ToolError(f"go build of {what} failed with status {status} in {folder}:\n{tail}")


def _wait(compiler: subprocess.Popen[bytes]) -> int | None:
    try:
        return compiler.wait(timeout=_HEARTBEAT_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _environment() -> dict[str, str]:
    # GOWORK=off: a go.work file of the surroundings would replace the pinned modules.
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def _executable_name(package: str) -> str:
    parts = package.split("/")
    return parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
