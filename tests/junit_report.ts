/** Titles of the tests in a JUnit report, by how they ended. */
export interface TestReport {
  passed: string[];
  failed: string[];
  skipped: string[];
}

const SUITE = /<testsuite name="[^"]*"[^>]*>([\s\S]*?)<\/testsuite>/g;
// A test that a filter left out, or that --fail-fast never came to, has no time.
const CASE = /<testcase name="([^"]*)"[^>]* time="[^>]*>([\s\S]*?)<\/testcase>/g;
const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

/**
 * Reads the JUnit XML that `deno test --junit-path` writes. A step (`title > step`) is part of its test and
 * not counted, unless it was skipped while its test was not. A test that was never reached is not counted.
 */
export function parseJunit(xml: string): TestReport {
  const report: TestReport = { passed: [], failed: [], skipped: [] };
  for (const [, suite] of xml.matchAll(SUITE)) {
    const cases = [...suite.matchAll(CASE)].map(([, name, body]) => ({ title: unescape(name), body }));
    const titles = new Set(cases.map(({ title }) => title));
    for (const { title, body } of cases) {
      if (body.includes("<skipped")) report.skipped.push(title);
      else if (isStep(title, titles)) continue;
      else if (/<(failure|error)\b/.test(body)) report.failed.push(title);
      else report.passed.push(title);
    }
  }
  return report;
}

/** True if some other title of the suite, followed by " > ", begins this one. */
function isStep(title: string, titles: Set<string>): boolean {
  for (let at = title.indexOf(" > "); at >= 0; at = title.indexOf(" > ", at + 1)) {
    if (titles.has(title.slice(0, at))) return true;
  }
  return false;
}

function unescape(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => ENTITIES[name]);
}
