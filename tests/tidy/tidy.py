#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what the compiler cannot: who includes whom, sizes, names, licences.

Usage: tidy.py [ROOT]. One line per violation, exit code 1 when there is one. A remark made twice in
review becomes a rule here: a function in RULES that yields (path, line number, what to do).
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

MAX_CODE_LINES = 400
MAX_FUNCTION_LINES = 70
PROGRAM_NAME_LENGTH = 15  # What the kernel keeps of a BPF program's name.

C_SUFFIXES = {".cc", ".h", ".c"}
SOURCE_SUFFIXES = C_SUFFIXES | {".py", ".sh", ".cmake", ".proto"}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".md", ".txt", ".yaml", ".yml", ".service"}
OUR_ROOTS = {"agent", "bpf", "exporters", "policy", "tests"}
WIRE_READERS = ("agent/probes/", "agent/cache/", "bpf/", "tests/")
VAGUE_FOLDERS = {"util", "utils", "common", "helper", "helpers", "misc"}
GENERIC_FOLDERS = {"/", "/tmp", "/root", "/home", "/opt", "/srv", "/usr", "/var", "/mnt", "/run"}
CONTROL = re.compile(r"^(if|else|for|while|switch|do|try|catch|return|namespace|extern)\b")
MARKERS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b")
SLEEP = re.compile(r"\b(?:u|nano)?sleep\s*\(|\bSleepFor\b|\bsleep_(?:for|until)\b|\bpoll\s*\(\s*(?:nullptr|NULL)\b")
WAITING = "tests/support/wait_for.h"
UNSEEN_LOCK = re.compile(r"\babsl::(?:Mutex|MutexLock|CondVar|Condition|Notification)\b")
SHELL_SLEEP = re.compile(r"(?:^|[;&|]|\bdo|\bthen)\s*sleep\s")


def without_comments(text):
    """C text with comments and the insides of literals blanked; lines keep their numbers."""
    pattern = re.compile(
        r'R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'",
        re.DOTALL,
    )

    def blank(match):
        found = match.group(0)
        newlines = "\n" * found.count("\n")
        if found.startswith("/"):
            return newlines or " "
        return found[0] + newlines + found[-1] if found[0] != "R" else '""' + newlines

    return pattern.sub(blank, text)


class Source:
    """One file of the tree; `path` is relative to the root, with slashes."""

    def __init__(self, root, path):
        self.path = path
        self.name = path.rsplit("/", 1)[-1]
        self.suffix = Path(path).suffix
        try:
            self.text = (root / path).read_bytes().decode("utf-8", "replace")
        except OSError:
            self.text = ""
        self.is_script = self.text.startswith("#!") and self.suffix not in {".py", ".sh"}
        self.is_c = self.suffix in C_SUFFIXES
        self.is_source = (
            self.suffix in SOURCE_SUFFIXES or self.name == "CMakeLists.txt" or self.is_script
        )
        self.is_test = (re.search(r"_(test|benchmark|fuzzer)\.", self.name) is not None
                        or self.path.startswith("tests/"))
        self.code = without_comments(self.text) if self.is_c else self.text

    def lines(self):
        return enumerate(self.text.splitlines(), 1)

    def includes(self):
        for number, line in self.lines():
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match and match.group(1).split("/")[0] in OUR_ROOTS:
                yield number, match.group(1)


class Tree:
    def __init__(self, root):
        self.root = Path(root).resolve()
        self.sources = [Source(self.root, path) for path in self._paths()]

    def _paths(self):
        listed = subprocess.run(
            ["git", "-C", str(self.root), "ls-files", "-co", "--exclude-standard", "-z"],
            capture_output=True,
            check=False,
        )
        if listed.returncode == 0:
            paths = listed.stdout.decode("utf-8", "replace").split("\0")
        else:
            paths = [str(p.relative_to(self.root)) for p in self.root.rglob("*")]
            paths = [p for p in paths if not p.startswith(("build/", ".git/"))]
        return sorted(p for p in set(paths) if p and (self.root / p).is_file())

    def module_order(self):
        for source in self.sources:
            if source.path == "agent/CMakeLists.txt":
                match = re.search(r"foreach\(\s*module\s+([^)]+)\)", source.text)
                return match.group(1).split() if match else []
        return []


def include_directions(tree):
    for source in tree.sources:
        for number, included in source.includes():
            if included.startswith("tests/") and source.is_test:
                continue
            if source.path.startswith("agent/base/") and not included.startswith("agent/base/"):
                yield source.path, number, f"agent/base includes nothing of ours, not {included}"
            if (
                source.path.startswith(("policy/", "exporters/"))
                and included.startswith("agent/")
                and not included.startswith("agent/base/")
            ):
                yield source.path, number, f"only agent/base may be included here, not {included}"
            if included.startswith("bpf/wire/") and not source.path.startswith(WIRE_READERS):
                yield source.path, number, f"only agent/probes and agent/cache read {included}"
            if included.startswith("tests/") and not source.is_test:
                yield source.path, number, f"product code includes the test file {included}"


def module_order(tree):
    order = tree.module_order()
    for source in tree.sources:
        parts = source.path.split("/")
        if parts[0] != "agent" or len(parts) < 3 or not source.is_c:
            continue
        if parts[1] not in order:
            yield source.path, 1, f"agent/{parts[1]} is not in the order of agent/CMakeLists.txt"
            continue
        for number, included in source.includes():
            target = included.split("/")
            if target[0] != "agent" or len(target) < 3 or target[1] not in order:
                continue
            if order.index(target[1]) > order.index(parts[1]):
                yield source.path, number, f"{included} comes later in the data flow"


def file_sizes(tree):
    for source in tree.sources:
        if source.suffix not in C_SUFFIXES | {".py", ".sh"} and not source.is_script:
            continue
        lines = source.code.splitlines()
        if not source.is_c:
            lines = [line for line in lines if not line.lstrip().startswith("#")]
        count = sum(1 for line in lines if line.strip())
        if count > MAX_CODE_LINES:
            yield source.path, 1, f"{count} code lines, at most {MAX_CODE_LINES}: split the file"


def is_function_head(head):
    head = " ".join(head.split())
    head = re.sub(r"^(public|private|protected) *:", "", head).strip()
    if "(" not in head or CONTROL.match(head) or re.search(r"=\s*$|\[[^\]]*\]\s*\(", head):
        return False
    if re.match(r"^(typedef )?(struct|class|enum|union) [^(]*$", head):
        return False
    return bool(re.search(r"\)[^;=]*$", head))


def c_functions(code):
    """Yields (first line, last line) of the functions, by counting braces in formatted code."""
    depth, head_start, head, line = 0, 1, "", 1
    function = None  # (first line, depth) of the one that is open.
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group(0).count("\n"), code,
                  flags=re.MULTILINE)
    for char in code:
        if char == "{":
            if function is None and is_function_head(head):
                function = (head_start, depth)
            depth += 1
        elif char == "}":
            depth -= 1
            if function and depth == function[1]:
                yield function[0], line
                function = None
        if char in "{};":
            head = ""
        elif head or not char.isspace():
            head_start = head_start if head else line
            head += char
        line += char == "\n"


def function_lengths(tree):
    for source in tree.sources:
        spans = []
        if source.is_c:
            spans = list(c_functions(source.code))
        elif source.suffix == ".py":
            spans = [
                (node.lineno, node.end_lineno)
                for node in ast.walk(ast.parse(source.text))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            ]
        for first, last in spans:
            if last - first + 1 > MAX_FUNCTION_LINES:
                what = f"a function of {last - first + 1} lines, at most {MAX_FUNCTION_LINES}"
                yield source.path, first, what


def bpf_programs(tree):
    """Yields (source, line, name) of each program: a SEC that a function follows."""
    function = re.compile(
        r'^SEC\("[^".][^"]*"\)\s+(?:static\s+)?(?:__\w+\s+)*int\s+'
        r"(?:BPF_\w+\(\s*(\w+)|(\w+)\s*\()",
        re.MULTILINE,
    )
    for source in tree.sources:
        if source.path.startswith("bpf/") and source.path.endswith(".bpf.c"):
            for match in function.finditer(source.text):
                line = source.text.count("\n", 0, match.start()) + 1
                yield source, line, match.group(1) or match.group(2)


def program_names(tree):
    seen = {}
    for source, line, name in bpf_programs(tree):
        probe = source.name[: -len(".bpf.c")]
        if not name.startswith(probe + "_"):
            yield source.path, line, f"the program {name} is to be called {probe}_<hook>"
        key = name[:PROGRAM_NAME_LENGTH]
        if key in seen:
            yield source.path, line, f"{name} and {seen[key]} share the kernel's name {key}"
        seen.setdefault(key, name)


def program_comments(tree):
    for source, line, name in bpf_programs(tree):
        above = source.text.splitlines()[line - 2].strip() if line > 1 else ""
        if not (above.startswith("//") or above.endswith("*/")):
            yield source.path, line, f"say above {name} when it fires and in whose context"


def wire_types(tree):
    for source in tree.sources:
        if not source.path.startswith("bpf/wire/") or source.suffix != ".h":
            continue
        inside = 0
        for number, line in enumerate(source.code.splitlines(), 1):
            for word in ("packed", "bool", "size_t"):
                if re.search(rf"\b(?:__)?{word}(?:__)?\b", line):
                    yield source.path, number, f"no {word} in a wire record"
            if inside and re.search(r"\benum\b", line):
                yield source.path, number, "no enum in a wire record, but a fixed-width integer"
            if inside and "*" in line:
                yield source.path, number, "no pointer in a wire record"
            starts = re.match(r"\s*(?:typedef\s+)?(?:struct|union)\b[^;()]*\{", line)
            if inside or starts:
                inside += line.count("{") - line.count("}")


def licences(tree):
    for source in tree.sources:
        if not source.is_source:
            continue
        wanted = "GPL-2.0-only OR BSD-2-Clause" if source.path.startswith("bpf/") else "Apache-2.0"
        lines = source.text.splitlines()
        first = next((line for line in lines[:2] if not line.startswith("#!")), "")
        if not first.rstrip(" */").endswith(f"SPDX-License-Identifier: {wanted}"):
            yield source.path, 1, f"begins with SPDX-License-Identifier: {wanted}"


def python_sleeps(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name == "sleep":
                yield node.lineno


def no_sleep_in_tests(tree):
    for source in tree.sources:
        if not source.is_test or source.path.startswith("tests/bench/"):
            continue
        if source.path == WAITING:  # WaitFor, and LetPass for what tests the moment itself.
            continue
        numbered = list(enumerate(source.code.splitlines(), 1))
        found = []
        if source.is_c:
            found = [number for number, line in numbered if SLEEP.search(line)]
        elif source.suffix == ".py":
            found = list(python_sleeps(source.text))
        elif source.suffix == ".sh" or source.is_script:
            found = [number for number, line in numbered if SHELL_SLEEP.search(line)]
        for number in found:
            yield source.path, number, "no sleep in a test: wait for the condition, bounded"


def own_mutex(tree):
    """ThreadSanitizer does not see into Debian's absl (docs/adr/0008)."""
    for source in tree.sources:
        if source.is_c:
            for number, line in enumerate(source.code.splitlines(), 1):
                if UNSEEN_LOCK.search(line):
                    yield source.path, number, "lock with Mutex of agent/base/mutex.h"


def folder_names(tree):
    for source in tree.sources:
        for folder in source.path.split("/")[:-1]:
            if folder in VAGUE_FOLDERS:
                yield source.path, 1, f"no folder '{folder}': code lives with its user"


def machine_paths(tree):
    own = {f"{tree.root}/"}
    if str(tree.root.parent) not in GENERIC_FOLDERS:
        own.add(f"{tree.root.parent}/")
    home = str(Path.home())
    if home.count("/") > 1:
        own.add(f"{home}/")
    for source in tree.sources:
        if source.suffix in TEXT_SUFFIXES or source.is_script:
            for number, line in source.lines():
                if any(re.search(rf"(?<![\w./}}]){re.escape(path)}", line) for path in own):
                    yield source.path, number, "a path of this machine"


def unfinished(tree):
    for source in tree.sources:
        if source.is_source:
            for number, line in source.lines():
                if MARKERS.search(line):
                    yield source.path, number, "finish it, or open an issue"


RULES = [
    include_directions,
    module_order,
    file_sizes,
    function_lengths,
    program_names,
    program_comments,
    wire_types,
    licences,
    no_sleep_in_tests,
    own_mutex,
    folder_names,
    machine_paths,
    unfinished,
]


def check(root):
    tree = Tree(root)
    return [
        f"{path}:{line}: {what} [{rule.__name__}]"
        for rule in RULES
        for path, line, what in rule(tree)
    ]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    violations = check(root)
    for violation in violations:
        print(violation)
    print(f"tidy: {len(violations)} violations of {len(RULES)} rules")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
