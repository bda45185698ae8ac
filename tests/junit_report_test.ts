import assert from "node:assert/strict";
import { parseJunit } from "./junit_report.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="7" failures="2" errors="0" time="0.233">
    <testsuite name="./tests/a_test.ts" tests="6" disabled="2" errors="0" failures="2">
        <testcase name="a() works" classname="./tests/a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="b() &lt;needs&gt; root (skipped: not root)" classname="./tests/a_test.ts" time="0.000" line="2">
            <skipped/>
        </testcase>
        <testcase name="c() fails" classname="./tests/a_test.ts" time="0.001" line="3" col="6">
            <failure message="Uncaught Error: bad &amp; &lt;/testcase&gt;">Error: bad</failure>
        </testcase>
        <testcase name="a() works &gt; first step" classname="./tests/a_test.ts" time="0.000">
        </testcase>
        <testcase name="a() works &gt; step (skipped: no GPU)" classname="./tests/a_test.ts" time="0.000">
            <skipped/>
        </testcase>
        <testcase name="e() was filtered out" classname="./tests/a_test.ts" line="9" col="6">
            <skipped/>
        </testcase>
        <testcase name="c() fails &gt; inner" classname="./tests/a_test.ts" time="0.000">
            <failure message="Uncaught Error">Error</failure>
        </testcase>
    </testsuite>
    <testsuite name="./tests/b_test.ts" tests="1" disabled="0" errors="0" failures="0">
        <testcase name="d() keeps 2 &gt; 1" classname="./tests/b_test.ts" time="0.001" line="2" col="6">
        </testcase>
    </testsuite>
</testsuites>`;

Deno.test("parseJunit() counts tests that ran, not steps, and keeps every skip", () => {
  assert.deepEqual(parseJunit(REPORT), {
    passed: ["a() works", "d() keeps 2 > 1"],
    failed: ["c() fails"],
    skipped: ["b() <needs> root (skipped: not root)", "a() works > step (skipped: no GPU)"],
  });
});

Deno.test("parseJunit() finds nothing in an empty report", () => {
  assert.deepEqual(parseJunit('<testsuites name="deno test" tests="0"></testsuites>'), {
    passed: [],
    failed: [],
    skipped: [],
  });
});
