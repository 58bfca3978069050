# SPDX-License-Identifier: Apache-2.0
"""tests/gates: each case that gates a release has tests, and they exist."""
import re

import pytest

from service import SRC

CASES = """S1 S2 S3 S4 S7 S8 S9 S10 S11 S12 S13 S14 S16 S18 S19
M1 M2 M4 M5 M6 M8 M10 M11 P1 P2 P3 P4 P5 P6 P7 P9 T1 T2 T3 T4 T5 T7
D1 D2 D3 D4 D5 D6 D11 E1 E2 E3 E6 R1 R2 R4 R8 R9 V1 V2 V3 V4""".split()


def read_table(text):
    """{case: its tests}; a line that is neither is an error."""
    table, case = {}, None
    for line in text.splitlines():
        if line == "" or line.startswith("#"):
            continue
        head = re.fullmatch(r"([A-Z]\d+)\t(\S.*)", line)
        if head:
            case = head[1]
            assert case not in table, case + " is there twice"
            table[case] = []
        else:
            assert case and re.fullmatch(r"\t\S+", line), line
            table[case].append(line[1:])
    return table


def what_is_wrong(table, source=SRC):
    """One line for each case without a test and each test that is not there."""
    wrong = [case + " is missing" for case in CASES if case not in table]
    wrong += [case + " is no case" for case in table if case not in CASES]
    wrong += [case + " has no test" for case in table if not table[case]]
    for case, tests in table.items():
        for test in tests:
            path, _, name = re.fullmatch(r"(.*?)(::?)(\w+)", test).groups()
            path = source / "tests" / path
            text = path.read_text() if path.exists() else ""
            pattern = (r"^def %s\(" if path.suffix == ".py" else
                       r"^%s\([^;]*?\)\n\{") % re.escape(name)
            if not re.search(pattern, text, re.M):
                wrong.append("%s: there is no %s" % (case, test))
            elif path.name.startswith("t_") and \
                    len(re.findall(r"\b(?:test_)?%s\b" %
                                   name.removeprefix("test_"), text)) < 2:
                wrong.append("%s: %s is not run" % (case, test))
    return wrong


def test_every_case_has_tests_that_are_there():
    assert len(CASES) == 57
    assert what_is_wrong(read_table((SRC / "tests/gates").read_text())) == []


def test_a_wrong_table_is_detected():
    table = {case: ["e2e/test_gates.py::test_a_wrong_table_is_detected"]
             for case in CASES}
    assert what_is_wrong(table) == []
    del table["S1"]
    table["S2"] = []
    table["S3"] = ["e2e/test_gates.py::test_that_is_not_there"]
    table["S4"] = ["unit/t_no_such_file.c:test_x"]
    table["S5"] = table["S7"]
    wrong = "\n".join(what_is_wrong(table))
    for words in ("S1 is missing", "S2 has no test", "S3: there is no",
                  "S4: there is no", "S5 is no case"):
        assert words in wrong
    for text in ("S1\tx\nS1\tx\n", "\te2e/x.py::y\n", "S1 x\n"):
        with pytest.raises(AssertionError):
            read_table(text)
