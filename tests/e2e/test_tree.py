# SPDX-License-Identifier: Apache-2.0
"""The rules of HACKING.md that a program can check."""
import collections
import os
import pathlib
import re
import subprocess

import pytest

SRC = pathlib.Path(os.environ["CHATD_SRC"]).resolve()
BUILD = pathlib.Path(os.environ["CHATD_BUILD"]).resolve()
ROOMS = ("daemon", "engine", "plugins", "client")
INCLUDE = re.compile(r'^#\s*include\s+"([^"]+)"', re.M)


def sources(*suffixes, below=ROOMS):
    """Source files of these folders, as paths below the root."""
    return sorted(p.relative_to(SRC) for top in below
                  for p in (SRC / top).rglob("*") if p.suffix in suffixes)


def read_rules(text):
    """HACKING.md's table of folders: {folder: (what it may include)}.  An
    entry is a folder or one header."""
    part = text.split("## Which folder may include which", 1)[1]
    rules = {}
    for line in part.split("\n## ", 1)[0].splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        words = [re.findall(r"`([^`]+)`", c) for c in cells]
        if line.startswith("|") and len(cells) >= 2 and words[0]:
            for folder in words[0]:
                rules[folder.rstrip("/")] = [w.rstrip("/") for w in words[1]]
    return rules


def rules_of(room, rules):
    """The entry of a folder; `plugins/NAME` stands for every other plugin."""
    if room not in rules and room.startswith("plugins/"):
        return rules["plugins/NAME"]
    return rules[room]


def is_allowed(user, used, rules):
    """May a file include, or call into, another?  Both are paths."""
    room, other = (str(p.parent) for p in (user, used))
    if room == other:
        return True
    for word in rules_of(room, rules):
        if other == word or str(used) == word or (
                word.endswith("/*") and other.startswith(word[:-1])):
            return True
    return False


def wrong_includes(files, rules):
    """files: {path: text}.  A line for each include against the rules."""
    homes = {p.name: p for p in files}
    wrong = []
    for path, text in files.items():
        for name in INCLUDE.findall(text):
            if "/" in name:
                wrong.append("%s includes %s: a name without folder is "
                             "enough" % (path, name))
            elif name not in homes:
                wrong.append("%s includes %s, which is not there"
                             % (path, name))
            elif not is_allowed(path, homes[name], rules):
                wrong.append("%s includes %s" % (path, homes[name]))
    return wrong


def rules_today():
    return read_rules((SRC / "HACKING.md").read_text())


def test_every_folder_has_its_rule():
    rules = rules_today()
    rooms = {str(p.parent) for p in sources(".c", ".h", ".cu")}
    for room in rooms:
        rules_of(room, rules)
    gone = [r for r in rules if r != "plugins/NAME" and
            not (SRC / r).is_dir()]
    assert gone == []


def test_no_include_points_upwards():
    files = {p: (SRC / p).read_text()
             for p in sources(".c", ".h", ".cu", ".inc")
             if p.name != "Makefile.inc"}
    assert wrong_includes(files, rules_today()) == []


def test_an_upward_include_is_found():
    rules = read_rules("## Which folder may include which\n\n"
                       "| `a/` | `b/`, `c/x.h` |\n| `b/`, `c/` | nothing |\n")
    P = pathlib.PurePath
    files = {P("a/a.c"): '#include "b.h"\n#include "x.h"\n',
             P("b/b.h"): '#include "x.h"\n', P("c/x.h"): "",
             P("c/y.h"): '#include "y.h"\n#include "c/x.h"\n',
             P("a/z.c"): '#include "y.h"\n#include "gone.h"\n'}
    assert wrong_includes(files, rules) == [
        "b/b.h includes c/x.h",
        "c/y.h includes c/x.h: a name without folder is enough",
        "a/z.c includes c/y.h", "a/z.c includes gone.h, which is not there"]


def symbols(objects):
    """From objects {path of its source: file}: {name: {sources that define
    it}} and [(source, name it needs)]."""
    defined, needed = collections.defaultdict(set), []
    for source, file in objects.items():
        out = subprocess.run(["nm", "-P", str(file)], capture_output=True,
                             text=True, check=True).stdout
        for line in out.splitlines():
            name, kind = line.split()[:2]
            if kind == "U":
                needed.append((source, name))
            elif kind in "TDBRGSVW":
                defined[name].add(source)
    return defined, needed


def built_objects():
    """{source: its object file}, as far as they are built."""
    objects = {}
    for p in sources(".c"):
        for folder in (BUILD / p.parent, BUILD / p.parent / ".libs"):
            for file in folder.glob("*%s.o" % p.stem):
                if file.stem == p.stem or file.stem.endswith("-" + p.stem):
                    objects[p] = file
    if not objects:
        pytest.skip("no object files in the build folder")
    assert len(objects) > 100
    return objects


def test_no_call_points_upwards():
    rules = rules_today()
    defined, needed = symbols(built_objects())
    wrong = sorted({"%s uses %s of %s" % (source, name, min(defined[name]))
                    for source, name in needed if defined.get(name) and
                    not any(is_allowed(source, d, rules)
                            for d in defined[name])})
    assert wrong == []


# Files whose names do not say which module they belong to: admit.c is a part of
# the scheduler (scheduler_impl.h); the others stand alone.
MODULES = {"engine/serve/admit.c": "engine/serve/scheduler.c",
           "engine/backend_host.c": "engine/backend_host.c",
           "engine/cpu/weights_random.c": "engine/cpu/weights_random.c",
           "engine/model/packed_write.c": "engine/model/packed_write.c",
           "plugins/rules/rules_files.c": "plugins/rules/rules_files.c",
           "plugins/rules/rules_plugin.c": "plugins/rules/rules_plugin.c"}


def module(path, files):
    """The module of a file: helper_req.c is a part of helper.c's, if there
    is one."""
    if str(path) in MODULES:
        return MODULES[str(path)]
    words = path.stem.split("_")
    for n in range(1, len(words)):
        head = path.with_name("_".join(words[:n]) + ".c")
        if head in files:
            return str(head)
    return str(path)


def cycle(edges):
    """A cycle of {node: nodes that it needs} as a list, or []."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return []
        path.append(node)
        for other in sorted(edges.get(node, ())):
            found = visit(other)
            if found:
                return found
        done.add(path.pop())
        return []

    for start in sorted(edges):
        found = visit(start)
        if found:
            return found
    return []


def test_modules_do_not_call_in_circles():
    objects = built_objects()
    defined, needed = symbols(objects)
    edges = collections.defaultdict(set)
    for source, name in needed:
        for other in defined.get(name, ()):
            a, b = module(source, objects), module(other, objects)
            if source.parent == other.parent and a != b:
                edges[a].add(b)
    assert cycle(edges) == []


def test_a_circle_is_found():
    assert cycle({"a": {"b", "c"}, "b": {"d"}, "c": {"b"}}) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"d", "b"}}) == \
        ["b", "c", "b"]


def test_no_conflict_was_committed():
    marks = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.M)
    assert [str(p.relative_to(SRC)) for p in sorted(SRC.rglob("*"))
            if p.is_file() and p.suffix in (".c", ".h", ".cu", ".cpp", ".py", ".inc",
                                            ".am", ".ac", ".md", "")
            and not set(p.relative_to(SRC).parts) & {".git", "build"}
            and p.stat().st_size < 1 << 20
            and marks.search(p.read_bytes().decode(errors="replace"))] == []


def test_file_names_are_unique():
    count = collections.Counter(p.name for p in sources(".c", ".h", ".cu",
                                below=ROOMS + ("tests",)))
    count["config.h"] += 1          # configure makes it
    assert [n for n, times in count.items() if times > 1] == []


def test_each_source_file_names_its_licence():
    tag = "SPDX-License-Identifier: Apache-2.0"
    files = sources(".c", ".h", ".cu", ".py", below=ROOMS + ("tests",
                                                             "tools"))
    assert [str(p) for p in files
            if tag not in "".join((SRC / p).read_text().splitlines(True)[:2])
            ] == []


def test_lines_fit_into_eighty_columns():
    wrong = []
    for p in sources(".c", ".h", ".cu", below=ROOMS + ("tests",)):
        for n, line in enumerate((SRC / p).read_text().splitlines(), 1):
            if len(line.expandtabs(8)) > 80 or line != line.rstrip():
                wrong.append("%s:%d" % (p, n))
    assert wrong == []


def test_each_source_file_is_in_its_makefile():
    wrong = []
    for p in sources(".c", ".h", ".cu"):
        makefile = (SRC / p.parent / "Makefile.inc").read_text()
        if not re.search(r"%%D%%/%s\b" % re.escape(p.name), makefile):
            wrong.append(str(p))
    assert wrong == []


def test_no_file_outgrows_its_idea():
    """Except for data and generated files, 600 lines are a warning sign."""
    assert ["%s: %d lines" % (p, n) for p in sources(".c", ".h", ".cu")
            for n in [len((SRC / p).read_text().splitlines())]
            if n > 600] == []
