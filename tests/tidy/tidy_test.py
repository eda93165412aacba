#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py catches a violation that is planted, and nothing in a tree without one."""

import tempfile
import unittest
from pathlib import Path

import tidy

APACHE = "// SPDX-License-Identifier: Apache-2.0\n"
GPL = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n"
ORDER = (
    "# SPDX-License-Identifier: Apache-2.0\n"
    "foreach(module base event collect probes cache enrich)\nendforeach()\n"
)
PROGRAM = '// At every exec, by the task that executes.\nSEC("tp_btf/sched_process_exec")\n'

CLEAN = {
    "agent/CMakeLists.txt": ORDER,
    "agent/base/clock.h": APACHE + '#include "agent/base/status.h"\n',
    "agent/event/exec.h": APACHE + '#include "agent/base/clock.h"\n',
    "agent/probes/exec.cc": APACHE + '#include "agent/event/exec.h"\n#include "bpf/wire/exec.h"\n',
    "agent/probes/exec_test.cc": APACHE + '#include "tests/support/child.h"\n',
    "agent/main.cc": APACHE + '#include "agent/enrich/x.h"\n',
    "exporters/jsonl/sink.cc": APACHE + '#include "agent/base/clock.h"\n',
    "bpf/wire/exec.h": GPL
    + "enum { kExec = 1 };\n// A pointer * or a bool in a comment.\n"
    + "struct wire_exec {\n  __u32 tgid;\n};\n",
    "bpf/probes/process.bpf.c": "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n"
    + 'char license[] SEC("license") = "Dual BSD/GPL";\n'
    + PROGRAM
    + "int BPF_PROG(process_exec, struct task_struct* p) {\n  return 0;\n}\n",
    "run-tests": "#!/bin/bash\n# SPDX-License-Identifier: Apache-2.0\nsleep 1\n",
    "docs/testing.md": "No licence line here.\n",
}


class TidyTest(unittest.TestCase):
    covered = set()

    def check(self, planted):
        with tempfile.TemporaryDirectory(prefix="vedette-tidy.") as root:
            for path, text in {**CLEAN, **planted}.items():
                file = Path(root) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text.replace("@ROOT@", str(Path(root).resolve())))
            return tidy.check(root)

    def assert_caught(self, rule, planted, times=1):
        """The planted files break this rule, as often as said, and no other."""
        found = self.check(planted)
        self.assertEqual([line for line in found if f"[{rule}]" not in line], [])
        self.assertEqual(len(found), times, found)
        TidyTest.covered.add(rule)

    def test_a_clean_tree_is_clean(self):
        self.assertEqual(self.check({}), [])

    def test_include_directions(self):
        for path, included in [
            ("agent/base/a.cc", "bpf/lib/maps.h"),
            ("agent/collect/a.cc", "bpf/wire/exec.h"),
            ("exporters/kafka/a.cc", "agent/event/exec.h"),
            ("policy/parse/a.cc", "agent/event/exec.h"),
            ("agent/event/a.cc", "tests/support/child.h"),
        ]:
            with self.subTest(path):
                self.assert_caught(
                    "include_directions", {path: APACHE + f'#include "{included}"\n'}
                )

    def test_module_order(self):
        self.assert_caught(
            "module_order", {"agent/event/a.cc": APACHE + '#include "agent/enrich/x.h"\n'}
        )
        self.assert_caught("module_order", {"agent/unknown/a.cc": APACHE})

    def test_file_sizes(self):
        lines = "int x;\n" * tidy.MAX_CODE_LINES
        fits = APACHE + lines + "// A comment.\n/* and\n two */\n\n"
        self.assertEqual(self.check({"agent/event/a.h": fits}), [])
        self.assert_caught("file_sizes", {"agent/event/a.h": fits + "int y;\n"})

    def test_function_lengths(self):
        def function(head, body_lines):
            return APACHE + head + " {\n" + "  f();\n" * body_lines + "}\n"

        allowed = tidy.MAX_FUNCTION_LINES - 2
        for head in [
            "int F(int a)",
            "A::A(int a) : a_(a)",
            "absl::Status A::F() const",
            "TEST(Suite, Case)",
            "int BPF_PROG(process_exec, struct task_struct* p)",
            "auto F() -> std::pair<int, int>",
        ]:
            with self.subTest(head):
                self.assertEqual(self.check({"agent/event/a.cc": function(head, allowed)}), [])
                self.assert_caught(
                    "function_lengths", {"agent/event/a.cc": function(head, allowed + 1)}
                )
        method = "class A {\n public:\n  int F() {\n" + "  f();\n" * 70 + "  }\n};\n"
        self.assert_caught("function_lengths", {"agent/event/a.h": APACHE + method})
        for head in ["namespace vedette", "class A", "const int kTable[] ="]:
            with self.subTest(head):
                self.assertEqual(self.check({"agent/event/a.cc": function(head, 100)}), [])

    def test_function_lengths_in_python(self):
        text = "# SPDX-License-Identifier: Apache-2.0\ndef f():\n" + "    pass\n" * 70
        self.assert_caught("function_lengths", {"tests/e2e/a.py": text})

    def test_program_names(self):
        wrong = GPL + PROGRAM + "int BPF_PROG(exec_hook, int a) {\n  return 0;\n}\n"
        self.assert_caught("program_names", {"bpf/probes/flow.bpf.c": wrong})
        names = ["network_accept_one", "network_accept_two"]
        same = "".join(PROGRAM + f"int {name}(void* ctx) {{\n  return 0;\n}}\n" for name in names)
        self.assert_caught("program_names", {"bpf/probes/network.bpf.c": GPL + same})

    def test_program_comments(self):
        bare = '\nSEC("cgroup/connect4")\nint flow_connect4(void* ctx) {\n  return 1;\n}\n'
        self.assert_caught("program_comments", {"bpf/probes/flow.bpf.c": GPL + bare})

    def test_wire_types(self):
        for field in [
            "bool x;",
            "size_t n;",
            "enum kind k;",
            "char* p;",
            "void *p;",
            "int x __attribute__((packed));",
        ]:
            with self.subTest(field):
                text = GPL + "struct wire_a {\n  " + field + "\n};\n"
                self.assert_caught("wire_types", {"bpf/wire/a.h": text})

    def test_licences(self):
        for path, text in [
            ("agent/event/a.cc", "int x;\n"),
            ("agent/event/b.cc", GPL),
            ("bpf/lib/a.h", APACHE),
            ("bpf/CMakeLists.txt", "# SPDX-License-Identifier: Apache-2.0\n"),
            ("quickstart", "#!/bin/bash\necho\n"),
            ("deploy/empty.sh", ""),
        ]:
            with self.subTest(path):
                self.assert_caught("licences", {path: text})

    def test_no_sleep_in_tests(self):
        apache_hash = "# SPDX-License-Identifier: Apache-2.0\n"
        for path, text in [
            ("agent/event/a_test.cc", APACHE + "void F() { absl::SleepFor(x); }\n"),
            ("tests/kernel/a_root_test.cc", APACHE + "void F() { usleep(5); }\n"),
            ("tests/kernel/b.cc", APACHE + "void F() { std::this_thread::sleep_for(x); }\n"),
            ("tests/kernel/c.cc", APACHE + "void F() { poll(nullptr, 0, 5); }\n"),
            ("tests/e2e/a.py", apache_hash + "time.sleep(1)\n"),
            ("tests/e2e/a.sh", apache_hash + "while true; do sleep 1; done\n"),
        ]:
            with self.subTest(path):
                self.assert_caught("no_sleep_in_tests", {path: text})
        in_words = APACHE + '// No sleep (ever).\nconst char* kText = "sleep(1)";\n'
        self.assertEqual(self.check({"agent/event/a_test.cc": in_words}), [])

    def test_own_mutex(self):
        self.assert_caught("own_mutex", {"agent/event/a.h": APACHE + "absl::Mutex mutex;\n"})
        in_words = APACHE + "// Not absl::Mutex.\n"
        self.assertEqual(self.check({"agent/event/a.cc": in_words}), [])

    def test_folder_names(self):
        self.assert_caught("folder_names", {"exporters/utils/a.h": APACHE})

    def test_machine_paths(self):
        self.assert_caught("machine_paths", {"docs/a.md": "Look at @ROOT@/build.\n"})

    def test_unfinished(self):
        marker = "TO" + "DO"
        self.assert_caught("unfinished", {"agent/event/a.h": APACHE + f"// {marker}: more.\n"})

    @classmethod
    def tearDownClass(cls):
        missing = {rule.__name__ for rule in tidy.RULES} - cls.covered
        if missing:
            raise AssertionError(f"rules without a planted violation: {sorted(missing)}")


if __name__ == "__main__":
    unittest.main()
