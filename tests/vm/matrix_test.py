#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What matrix.py makes of what a machine said, and of docs/kernels.md. Boots nothing."""

import unittest

import matrix

matrix.TESTS = {name: matrix.TESTS[name]
                for name in ("kernel_tcp_root_test", "kernel_capability_root_test")}
DOC = matrix.DOC.read_text()
OUTPUT = """== programs
feature\tfentry\tno
-\tcapability_used\tno-hook
tcp\ttcp_state\tloaded\t1000\t200
scan\tscan_sockets\trefused\tunknown func | x
== tests kernel_tcp_root_test
[ RUN      ] TcpTest.BothEndsOfAFlowCountItsBytesExactly
[       OK ] TcpTest.BothEndsOfAFlowCountItsBytesExactly (7 ms)
== tests kernel_capability_root_test
[ RUN      ] CapabilityTest.TheFirstUseByAWorkloadIsToldAndNoOther
a.cc:20: Skipped
needs cap_capable

[  SKIPPED ] CapabilityTest.TheFirstUseByAWorkloadIsToldAndNoOther (0 ms)
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] CapabilityTest.TheFirstUseByAWorkloadIsToldAndNoOther
== smoke
ok   an exec
smoke ended with 0
== end
"""
TCP = "TcpTest.BothEndsOfAFlowCountItsBytesExactly"
CAPABILITY = "CapabilityTest.TheFirstUseByAWorkloadIsToldAndNoOther"


def expected():
    return {"cost": {"tcp_state": (1000, 200)}, "refused": {"scan_sockets": "unknown func | x"},
            "no-hook": {"capability_used"}, "skipped": {CAPABILITY: "cap_capable"},
            "features": {"fentry": False}}


def found(output, wanted):
    return list(matrix.differences(matrix.read(output), wanted))


class MatrixTest(unittest.TestCase):
    def test_what_is_expected_is_no_difference(self):
        self.assertEqual(found(OUTPUT, expected()), [])

    def test_a_program_that_is_refused_or_loads_unexpectedly(self):
        wanted = expected()
        wanted["refused"] = {}
        self.assertRegex(found(OUTPUT, wanted)[0], "scan_sockets is refused: unknown func")
        wanted["refused"] = {"scan_sockets": "another reason"}
        self.assertRegex(found(OUTPUT, wanted)[0], "expected: another reason")
        loads = OUTPUT.replace("refused\tunknown func | x", "loaded\t10\t10")
        self.assertRegex(found(loads, expected())[0], "scan_sockets loads, which .* does not know")
        gone = OUTPUT.replace("tcp\ttcp_state\tloaded\t1000\t200\n", "")
        self.assertRegex(found(gone, expected())[0], "tcp_state is not there")

    def test_a_feature_that_comes_or_goes(self):
        comes = OUTPUT.replace("fentry\tno", "fentry\tyes")
        self.assertEqual(found(comes, expected()), ["fentry: it is there, unlike before"])

    def test_growth_beyond_its_bound(self):
        grown = OUTPUT.replace("1000\t200", "1300\t216")
        self.assertEqual(found(grown, expected()), [])
        grown = OUTPUT.replace("1000\t200", "1301\t217")
        self.assertRegex("\n".join(found(grown, expected())),
                         "1301 instructions, 1000 before\n.* 217 bytes of stack, 200 before")

    def test_a_skip_that_is_not_listed_or_no_longer_true(self):
        wanted = expected()
        wanted["skipped"] = {}
        self.assertRegex(found(OUTPUT, wanted)[0], "was skipped: it needs cap_capable")
        wanted["skipped"] = {CAPABILITY: "cap_capable", TCP: "something"}
        self.assertRegex(found(OUTPUT, wanted)[0], "BothEnds.* ran, and .* says that it is skipped")

    def test_failures(self):
        failed = OUTPUT.replace("[       OK ] TcpTest", "a.cc:1: Failure\n[  FAILED  ] TcpTest")
        self.assertRegex(found(failed, expected())[0], "BothEnds.* failed:\n    a.cc:1: Failure")
        crashed = OUTPUT.replace(f"[       OK ] {TCP} (7 ms)\n", "Aborted\n")
        self.assertRegex(found(crashed, expected())[0], "BothEnds.* failed")
        never = OUTPUT.replace(f"[ RUN      ] {TCP}\n[       OK ] {TCP} (7 ms)\n", "not found\n")
        self.assertRegex(found(never, expected())[0], "BothEnds.* failed:\n    not found")
        missing = OUTPUT.replace("== tests kernel_tcp_root_test", "== tests")
        self.assertRegex(found(missing, expected())[0], "BothEnds.* failed:\n    it was not run")
        smoke = OUTPUT.replace("ok   an exec\nsmoke ended with 0", "FAIL an exec: x\nsmoke ended with 1")
        self.assertRegex(found(smoke, expected())[0], "smoke_inside.sh failed:\n    FAIL an exec: x")
        with self.assertRaises(matrix.CannotBoot):
            matrix.read(OUTPUT.replace("== end\n", ""))

    def test_the_table_is_read_as_it_is_written(self):
        result = matrix.read(OUTPUT)
        text = matrix.regenerate({"6.12": result}, DOC)
        written = matrix.expectations(text)["6.12"]
        self.assertEqual({name: there for name, there in written["features"].items() if there}, {})
        self.assertEqual({**written, "features": {"fentry": False}}, expected())
        self.assertEqual(matrix.expectations(text)["5.10"], matrix.expectations(DOC)["5.10"])
        self.assertEqual(matrix.regenerate({"6.12": result}, text), text)

    def test_every_kernel_of_the_document_has_programs(self):
        for series, wanted in matrix.expectations(DOC).items():
            self.assertGreater(len(wanted["cost"]), 0, series)


if __name__ == "__main__":
    unittest.main()
