"""The project's own files, as the tests of the house read them."""

import ast
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "Import", "find_files", "imports_of", "module_name", "parse_python", "tracked_files"]

ROOT = Path(__file__).parent.parent.parent
PYTHON_ROOMS = ["wsgistack", "tests", "demo", "bench", "tools"]


@dataclass(frozen=True, slots=True)
class Import:
    """One import: where it stands, the module that it names in full, and whether only mypy sees it."""

    path: str
    line: int
    target: str
    is_relative: bool = False
    for_types_only: bool = False


def find_files(*patterns: str, rooms: list[str] = PYTHON_ROOMS) -> list[Path]:
    """Return the files of *rooms* that match any of *patterns*, sorted."""
    return sorted(path for room in rooms for pattern in patterns for path in (ROOT / room).rglob(pattern))


def tracked_files() -> list[Path]:
    """Return every file that git tracks or would track, or every file where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.splitlines()
    if done.returncode != 0:
        names = [str(path.relative_to(ROOT)) for path in find_files("*.py", "*.pyx", "*.pxd")]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@cache
def parse_python(path: Path) -> ast.Module:
    """Return the syntax tree of one .py file."""
    return ast.parse(path.read_text(), str(path))


def module_name(path: Path) -> str:
    """Return the dotted name of the module in *path*."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> list[Import]:
    """Return what *path* imports, wherever in the file it does so."""
    found = _cython_imports(path) if path.suffix in (".pyx", ".pxd") else _python_imports(path)
    return [Import(str(path.relative_to(ROOT)), *rest) for rest in found]


Found = tuple[int, str, bool, bool]


def _python_imports(path: Path) -> list[Found]:
    tree = parse_python(path)
    guarded = {id(node) for block in ast.walk(tree) if _guards_types(block) for node in ast.walk(block)}
    found: list[Found] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, False, id(node) in guarded) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module, names = node.module or "", [alias.name for alias in node.names]
            targets = {_resolve(module, name) for name in names}
            found += [(node.lineno, target, node.level > 0, id(node) in guarded) for target in targets]
    return found


def _guards_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


CYTHON_FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n#]+)", re.MULTILINE)
CYTHON_IMPORT = re.compile(r"^[ \t]*c?import[ \t]+([\w., \t]+)", re.MULTILINE)


def _cython_imports(path: Path) -> list[Found]:
    text = path.read_text()
    found: list[Found] = []
    for match in CYTHON_FROM.finditer(text):
        module, names = match[1], re.findall(r"\w+", re.sub(r"\bas\s+\w+", "", match[2]))
        line = text.count("\n", 0, match.start()) + 1
        targets = {_resolve(module, name) for name in names}
        found += [(line, target, module.startswith("."), False) for target in targets]
    for match in CYTHON_IMPORT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found += [(line, name.split()[0], False, False) for name in match[1].split(",") if name.strip()]
    return found


def _resolve(module: str, name: str) -> str:
    """Return `module.name` if that is a module of ours, else *module*: `from package import module`."""
    place = ROOT.joinpath(*module.split("."), name)
    is_module = any(place.with_suffix(suffix).exists() for suffix in (".py", ".pyx", ".pxd"))
    return f"{module}.{name}" if is_module or place.is_dir() else module
