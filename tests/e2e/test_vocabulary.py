# SPDX-License-Identifier: Apache-2.0
"""The pages, the completions, the shipped configuration, the sources and the
database use the words of daemon/base/vocabulary.c: all of them, and no
others."""
import glob
import json
import os
import re
import sqlite3
import subprocess

import pytest

from service import BUILD, SRC, Service

V = json.loads(subprocess.run([BUILD / "tests/e2e/vocabulary_json"], text=True,
                              stdout=subprocess.PIPE, check=True).stdout)
PARAMS = V["params"]
DEFAULTS = {n: p["default"] for n, p in PARAMS.items() if "default" in p}
SHELLS = ("chatctl.bash", "_chatctl", "chatctl.fish")


def read(*path):
    return SRC.joinpath(*path).read_text(encoding="utf-8")


def piece(text, start, end):
    """The text between two patterns; the first one must occur once."""
    found = re.findall("(?ms)%s(.*?)%s" % (start, end), text)
    assert len(found) == 1, (start, end, found)
    return found[0]


def words(text, macros="Cm|Ql", symbols=False):
    """The words that a page marks: .Cm a , b or .Ql a ."""
    out = []
    for line in text.splitlines():
        line = re.sub(r"^\.It ", ".", line).split(" Ta ")[0]
        m = re.match(r"\.(?:Pq )?(?:%s) (.*)" % macros, line)
        if m:
            out += [w for w in re.sub(r"\bNo\b.*?(?:Cm|Ql|$)", "",
                                      m[1]).split()
                    if symbols or re.fullmatch(r"[a-z][a-z0-9_-]*", w)]
    return out


def same(found, expected, ordered=False):
    found, expected = list(found), list(expected)
    assert sorted(found) == sorted(expected)
    assert not ordered or found == expected


# ---- lists in pages: page, from, to, list of the vocabulary

LISTS = [
    ("chatd-protocol.7", r"^\.Cm reasons\nis an array of", r"^\.Cm ideal",
     "reasons"),
    ("chatd-protocol.7", r"^\.Xr chatd-export 5 :\n", r"^The file comes",
     "formats"),
    ("chatd-protocol.7", r"^\.Pq Cm action , categories.*?\n\.Cm action\nis",
     r"^\.Cm categories", "actions"),
    ("chatd-protocol.7", r"^Codes are\n", r"^\.It Cm text", "notices"),
    ("chatctl.1", r"^Why it is bad:", r"^May be", "reasons"),
    ("chatctl.1", r"^Only exchanges with a reply that was rated$",
     r"^Operators", "ratings"),
    ("chatd-protocol.7", r"^\.It Cm rating\n", r"^Ratings by", "ratings"),
    ("chatd.yaml.5", r"^\.It Cm model\.precision.*?$", r"^is what a packed",
     "precisions"),
    ("chatd.yaml.5", r"^\.It Cm model\.kv_precision.*?$", r"^holds nearly",
     "caches"),
    ("chatd.yaml.5", r"^\.It Cm model\.isa.*?$", r"^takes the best", "isas"),
    ("chatd-engine.8", r"^\.It Fl -kv-precision.*?$", r"^See$", "caches"),
    ("chatd-model.5", r"^\.It Sy name.*?$", r"^\.El", "precisions"),
    ("chatd-filter.3", r'^\.Bl -tag -width "other_unsafe".*?$', r"^\.El",
     "categories"),
    ("chatd-db.5", r"^\.It Cm reasons\n", r"^\.It", "reasons"),
    ("chatd-db.5", r"^bytes of the text\n\.It Cm action\n", r"^\.El",
     "actions"),
    ("chatd-db.5", r"^\.It Cm direction\n", r"^\.It", "directions"),
]
OTHER = {"notices": {"dropped", "field", "used", "limit", "conversations",
                     "bytes", "code", "message"}}


@pytest.mark.parametrize("page, start, end, name", LISTS, ids=[
    "%s %s %d" % (case[0], case[3], i) for i, case in enumerate(LISTS)])
def test_a_list_of_a_page_has_all_words_and_no_others(page, start, end, name):
    found = set(words(piece(read("man", page), start, end)))
    expected = set(V[name])
    if "auto" not in found:
        expected -= {"auto"}
    assert found - OTHER.get(name, set()) == expected


def items(text):
    """The first words of the items of a list that is not nested."""
    return re.findall(r"^\.It Cm (\S+)", text, re.M)


def test_the_protocols_page_has_each_error_code():
    page = piece(read("man", "chatd-protocol.7"), r"^\.Sh DIAGNOSTICS",
                 r"^\.Sh")
    same(items(page), V["errors"])


def test_the_page_of_exports_has_each_format():
    page = piece(read("man", "chatd-export.5"), r"^\.Sh EXPORT FORMATS", r"^\.Sh")
    same(items(page), V["formats"], ordered=True)


def test_the_configurations_page_has_each_action_that_takes_a_score():
    page = piece(read("man", "chatd.yaml.5"), r"^\.Ss policy", r"^\.Ss")
    same(items(page), [a for a in V["actions"] if a != "allow"], ordered=True)


def test_the_pages_have_each_parameter():
    page = piece(read("man", "chatd-protocol.7"),
                 r"^\.Ss Parameters of a reply", r"^\.Sh")
    same(items(page), PARAMS)
    for name in "temperature", "top_p", "repetition_penalty":
        p = PARAMS[name]
        low = ("%f" % p["min"]).rstrip("0").rstrip(".")
        text = piece(page, r"^\.It Cm %s\n" % name, r"^\.(It|El)")[0]
        assert text.startswith("%s to %g" % (low, p["max"])), text
    assert "Up to %d strings of 1 to %d bytes" % (
        V["stops"], V["stop bytes"]) in page
    options = piece(read("man", "chatctl.1"), r"^\.It Fl -temperature", r"$")
    same(["temperature"] + [o.replace("-", "_") for o in re.findall(
        r"Fl -([a-z-]+)", options)], PARAMS)


def test_the_pages_have_each_default():
    page = piece(read("man", "chatd.yaml.5"), r"^\.Ss defaults", r"^\.El")
    found = dict(re.findall(r"^\.It Cm defaults\.(\w+) Pq (.*)$", page, re.M))
    assert found.pop("preprompt") == "empty"
    assert found == DEFAULTS
    shipped = read("etc", "chatd.yaml.in").split("# defaults:\n")[1]
    shipped = dict(re.findall(r"^#   (\w+): (\S+)", shipped, re.M))
    assert shipped and shipped.items() <= DEFAULTS.items()


def test_the_client_page_has_formats_and_directions():
    page = read("man", "chatctl.1")
    same(piece(page, "-format Cm ", "$").split(" | "), V["formats"])
    same(piece(page, "export : Fl -rating Cm ", "$").split(" | "),
         V["choices"])
    same(piece(page, "-direction Cm ", "$").split(" | "), V["directions"])


def test_the_shipped_configuration_names_what_there_is():
    text = read("etc", "chatd.yaml.in")
    same(re.split(", ", piece(text, r"# precision: auto +# ", ";")),
         [p for p in V["precisions"] if p != "auto"])
    same(re.findall(r"\b[a-z]+\d+\b", piece(text, "# kv_precision: auto",
                                            "$")),
         [p for p in V["caches"] if p != "auto"])
    policy = piece(text, "^policy:\n", "^$")
    names = re.findall(r"(\w+): \{", policy)
    assert set(names) - {"default"} <= set(V["categories"])
    assert set(re.findall(r"(\w+): [\d.]", policy)) <= set(V["actions"])
    same(re.findall(r"^  (\w+):$", policy, re.M), V["directions"])


def test_the_completions_have_the_words():
    bash, zsh, fish = (read("etc", "completions", s) for s in SHELLS)
    for option, name in (("reason", "reasons"), ("format", "formats"),
                         ("direction", "directions"), ("rating", "ratings"),
                         ("category", "categories")):
        same(piece(bash, r"--%s\b[^)\n]*\)\s*words=\"" % option,
                   '"').split(), V[name])
        same(piece(zsh, r"--%s\}?'?\[[^\]]*\]:\w+:\(" % option,
                   r"\)").split(), V[name])
        same(piece(fish, r"-l %s -x -a '" % option, "'").split(), V[name])
    same((piece(bash, r"--rating\)\s*words=\"", '"') +
          piece(bash, r"export \]\] && words\+=\"", '"')).split(),
         V["choices"])
    same(piece(zsh, r"--rating=\[[^\]]*\]:\w+:\(", r"\)").split(),
         V["choices"])
    same(piece(fish, r"-l rating -r -f -a '", "'").split(), V["choices"])
    same(piece(bash, r'--split\)\s*words="', '"').split(), V["splits"])
    same(piece(bash, r'rate\)\s*words="', '"').split(), V["thumbs"])
    same(piece(zsh, r"2:verdict:\(", r"\)").split(), V["thumbs"])
    same(piece(fish, r"from rate' -a '", "'").split(), V["thumbs"])
    for text, option in ((bash, "--%s"), (zsh, "--%s"), (fish, "-l %s ")):
        for name in PARAMS:
            assert option % name.replace("_", "-") in text, name


def test_the_database_takes_the_words_and_no_others():
    with Service() as s:
        sql = "\n".join(r[0] for r in s.rows(
            "select sql from sqlite_master where name in "
            "('verdict', 'rating')"))
    for column in "direction", "action":
        found = piece(sql, r"%s IN\s*\(" % column, r"\)")
        same(re.findall(r"'(\w+)'", found), V[column + "s"], ordered=True)
    listed = piece(sql, r"JSON array of", r"\n\s*reasons TEXT")
    same(re.findall(r"\w+", listed), V["reasons"], ordered=True)


# ---- the sources

CALLS = re.compile(
    r"\b(?:fault_set\(\s*[^,()]*(?:\([^()]*\))?[^,()]*,\s*|"
    r"request_fail\(\s*(?:[^,()]|\([^()]*\))*,\s*|"
    r"exchange_refuse\(\s*[^,()]*,\s*|"
    r"exchange_notice\(\s*[^,()]*,\s*|exchange_msg_notice\(\s*|"
    r"exchange_end\(\s*[^,()]*,\s*[^,;]*,\s*|"
    r"scheduler_fail\(\s*[^,()]*,\s*[^,()]*,\s*|"
    r"\"code\",\s*|->code = )\"([a-z_]+)\"")
COMPARED = re.compile(r"strcmp\(\w*code\w*, \"([a-z_]+)\"\)")


def codes_of(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return set(CALLS.findall(text)) | set(COMPARED.findall(text))


def test_every_code_in_the_sources_is_in_the_vocabulary():
    known = set(sum((V[k] for k in ("errors", "helper errors",
                                    "local errors", "notices")), []))
    used = {}
    for folder in "daemon", "engine", "plugins", "client":
        for path in glob.glob(str(SRC / folder / "**" / "*.c*"),
                              recursive=True):
            if os.path.basename(path) == "vocabulary.c":
                continue
            with open(path, encoding="utf-8") as f:
                for code in codes_of(f.read()):
                    used.setdefault(code, path)
    assert {c: p for c, p in used.items() if c not in known} == {}
    assert known - set(used) == set()


def test_a_new_code_in_a_source_is_found():
    assert codes_of('return (fault_set(&r->fault, "new_code", NULL, "x"));') \
        == {"new_code"}
    assert codes_of('request_fail(f(r), "new_code", "x");') == {"new_code"}
    assert codes_of('exchange_end(x, a ? "b" : "c",\n\t"new_code", "x");') \
        == {"new_code"}


def test_no_source_lists_the_words_again():
    """Two neighbours of a list side by side are a copy of it."""
    again = []
    for name in ("categories", "reasons", "formats", "thumbs", "precisions",
                 "isas"):
        pairs = [r'"%s",\s*"%s"' % p for p in zip(V[name], V[name][1:])]
        for folder in "daemon", "engine", "plugins", "client":
            for path in glob.glob(str(SRC / folder / "**" / "*.[ch]"),
                                  recursive=True):
                if os.path.basename(path) == "vocabulary.c":
                    continue
                text = re.sub(r"/\*.*?\*/", "", open(path).read(),
                              flags=re.S)
                again += [(path, p) for p in pairs if re.search(p, text)]
    assert again == []
