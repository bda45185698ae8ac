import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAX_BYTES = 1_000_000;
const TOP_LEVEL = [
  ".ci",
  ".gitignore",
  "LICENSE",
  "README.md",
  "bench",
  "coordinator",
  "deno.json",
  "deno.lock",
  "deploy",
  "docs",
  "mod.ts",
  "shared",
  "tests",
  "worker",
];

/** Hosts of package registries: a mirror must be able to stand in for each, so no file may name one. */
const REGISTRY_HOST =
  /\b(registry\.npmjs\.\w+|npmjs\.com|registry\.yarnpkg\.com|jsr\.io|esm\.sh|pypi\.org|pythonhosted\.org|deb\.debian\.org)/;

/** Which parts each part may import. Only `mod.ts` and the command line compose the two sides. */
const MAY_IMPORT: Record<string, string[]> = {
  "mod.ts": ["coordinator/cli", "coordinator", "worker", "shared"],
  "coordinator/cli": ["coordinator/cli", "coordinator", "worker", "shared"],
  coordinator: ["coordinator", "shared"],
  worker: ["worker", "shared"],
  shared: ["shared"],
};

/** The folders of `shared/` that may import another one. */
const SIDEWAYS = new Set(["protocol → zmq", "tasks → data"]);

const TENSOR_LIBRARY = /^(@tensorflow\/|onnxruntime-)/;

const files = trackedFiles();
const sources = files.filter((path) => path.endsWith(".ts") && partOf(path) in MAY_IMPORT);
const imports = new Map(sources.map((path) => [path, importsOf(readFileSync(ROOT + path, "utf8"))]));

/** All tracked paths that still exist, from the root, with forward slashes; none where this is no git checkout. */
function trackedFiles(): string[] {
  if (!existsSync(`${ROOT}/.git`)) return [];
  const output = execFileSync("git", ["-C", ROOT, "ls-files", "-z"], { encoding: "utf8" });
  return output.split("\0").filter((path) => path !== "" && existsSync(ROOT + path));
}

/** Registers a test over the tracked files, skipped with its reason where git cannot list them. */
function repositoryTest(title: string, fn: () => void) {
  const ignore = files.length === 0;
  Deno.test({ name: ignore ? `${title} (skipped: not a git checkout)` : title, ignore, fn });
}

function partOf(path: string): string {
  return path.startsWith("coordinator/cli/") ? "coordinator/cli" : path.split("/")[0];
}

/** Every module that a source text imports, re-exports, loads later or starts as a thread. */
function importsOf(text: string): string[] {
  const patterns = [
    /^\s*(?:import|export)\s[^"';]*?\bfrom\s*["']([^"']+)["']/gm,
    /^\s*import\s*["']([^"']+)["']/gm,
    /\bimport\(\s*["']([^"']+)["']/g,
    /\bnew URL\(\s*["']([^"']+\.ts)["'],\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]));
}

/** Why `from` may not import `specifier`, or undefined if it may. */
function refusal(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return packageRefusal(from, specifier);
  const to = posix.join(posix.dirname(from), specifier);
  if (to === "deno.json") return undefined; // the version
  if (!MAY_IMPORT[partOf(from)].includes(partOf(to))) return `${partOf(from)} may not import ${partOf(to)}`;
  const [a, b] = [from, to].map(sharedFolder);
  const sideways = a !== undefined && b !== undefined && a !== b && !SIDEWAYS.has(`${a} → ${b}`);
  return sideways ? `shared/${a} may not import shared/${b}` : undefined;
}

function packageRefusal(from: string, specifier: string): string | undefined {
  if (partOf(from) === "coordinator" && TENSOR_LIBRARY.test(specifier)) {
    return "no tensor library in the coordinator";
  }
  const named = Object.keys(mappedPackages()).some((name) =>
    specifier === name || specifier.startsWith(`${name}/`)
  );
  return named || specifier.startsWith("node:") ? undefined : `deno.json does not name ${specifier}`;
}

function mappedPackages(): Record<string, string> {
  return JSON.parse(readFileSync(`${ROOT}/deno.json`, "utf8")).imports;
}

/** The folder of `shared/` that a path lies in; undefined for files directly in `shared/` and all others. */
function sharedFolder(path: string): string | undefined {
  const [top, folder, file] = path.split("/");
  return top === "shared" && file !== undefined ? folder : undefined;
}

/** The first import cycle that is reachable from `path`, as a chain of paths, or undefined. */
function findCycle(
  graph: Map<string, string[]>,
  path: string,
  chain: string[],
  done: Set<string>,
): string[] | undefined {
  if (chain.includes(path)) return [...chain.slice(chain.indexOf(path)), path];
  if (done.has(path)) return undefined;
  for (const next of graph.get(path) ?? []) {
    const cycle = findCycle(graph, next, [...chain, path], done);
    if (cycle !== undefined) return cycle;
  }
  done.add(path);
  return undefined;
}

repositoryTest("the repository holds no file above 1 MB", () => {
  const large = files.filter((path) => statSync(ROOT + path).size > MAX_BYTES);
  assert.deepEqual(large, []);
});

repositoryTest("the repository's top level holds only what the design names", () => {
  const entries = new Set(files.map((path) => path.split("/")[0]));
  assert.deepEqual([...entries].filter((entry) => !TOP_LEVEL.includes(entry)), []);
});

repositoryTest("the repository names no package registry's host and no tarball in the lock file", () => {
  const naming = files.filter((path) => REGISTRY_HOST.test(readFileSync(ROOT + path, "utf8")));
  assert.deepEqual(naming, []);
  if (files.includes("deno.lock")) {
    assert.doesNotMatch(readFileSync(`${ROOT}/deno.lock`, "utf8"), /"tarball"|"jsr:/);
  }
});

repositoryTest("README.md gives the test command that .ci/run runs", () => {
  const command = "npx -y deno@2.9.6 task test";
  for (const path of ["README.md", ".ci/run"]) {
    const lines = readFileSync(ROOT + path, "utf8").split("\n").map((line) => line.trim());
    assert.ok(
      lines.some((line) => line === command || line.startsWith(`${command} `)),
      `${path} lacks ${command}`,
    );
  }
});

Deno.test("deno.json maps every package to one exact npm version", () => {
  for (const [name, target] of Object.entries(mappedPackages())) {
    assert.match(target, /^npm:.+@\d+\.\d+\.\d+$/, `${name} is mapped to ${target}`);
  }
});

repositoryTest("imports point one way: coordinator → shared ← worker", () => {
  const refused = [...imports].flatMap(([from, specifiers]) =>
    specifiers.flatMap((specifier) => refusal(from, specifier) ?? []).map((reason) => `${from}: ${reason}`)
  );
  assert.deepEqual(refused, []);
});

repositoryTest("imports form no cycle", () => {
  const graph = new Map([...imports].map(([from, specifiers]) => [
    from,
    specifiers.filter((specifier) => specifier.startsWith("."))
      .map((specifier) => posix.join(posix.dirname(from), specifier)),
  ]));
  const done = new Set<string>();
  for (const path of graph.keys()) assert.equal(findCycle(graph, path, [], done)?.join(" → "), undefined);
});

Deno.test("importsOf() finds every kind of import and no other text", () => {
  const text = `
    import a from "./a.ts";
    import {
      type B,
      c,
    } from "../c.ts";
    import "./side_effect.ts";
    export { d } from "./d.ts";
    const later = await import("./later.ts");
    const thread = new Worker(new URL("./thread.ts", import.meta.url), { type: "module" });
    export const text = "./no.ts";
    /** import x from "./doc.ts" */
    const list = Array.from("./no.ts");
  `;
  const found = ["../c.ts", "./a.ts", "./d.ts", "./later.ts", "./side_effect.ts", "./thread.ts"];
  assert.deepEqual(importsOf(text).sort(), found);
});

Deno.test("refusal() names what the design forbids", () => {
  assert.equal(refusal("coordinator/plan.ts", "../worker/arena.ts"), "coordinator may not import worker");
  assert.equal(refusal("worker/worker.ts", "../coordinator/plan.ts"), "worker may not import coordinator");
  assert.equal(refusal("shared/log.ts", "../worker/arena.ts"), "shared may not import worker");
  assert.equal(refusal("coordinator/plan.ts", "./cli/main.ts"), "coordinator may not import coordinator/cli");
  assert.equal(refusal("shared/data/a.ts", "../tasks/sort.ts"), "shared/data may not import shared/tasks");
  assert.equal(refusal("coordinator/plan.ts", "@tensorflow/tfjs"), "no tensor library in the coordinator");
  assert.equal(refusal("shared/log.ts", "jsr:@std/path"), "deno.json does not name jsr:@std/path");
  for (
    const [from, to] of [
      ["mod.ts", "./worker/evaluate.ts"],
      ["coordinator/cli/train.ts", "../../worker/worker.ts"],
      ["shared/tasks/sort.ts", "../data/sampler.ts"],
      ["shared/protocol/codec.ts", "../errors.ts"],
      ["worker/engines/onnx.ts", "onnxruntime-node"],
      ["coordinator/cli/main.ts", "../../deno.json"],
    ]
  ) assert.equal(refusal(from, to), undefined);
});

Deno.test("findCycle() gives the chain of a cycle", () => {
  const graph = new Map([["a", ["b"]], ["b", ["c", "d"]], ["c", []], ["d", ["b"]]]);
  assert.deepEqual(findCycle(graph, "a", [], new Set()), ["b", "d", "b"]);
  assert.equal(findCycle(new Map([["a", ["b"]], ["b", []]]), "a", [], new Set()), undefined);
});
