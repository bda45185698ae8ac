import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { copiedFixture, fixtureDirectories } from "./fixtures.ts";

const FILES = [
  "batch.safetensors",
  "config.json",
  "expected.safetensors",
  "final.safetensors",
  "trajectory.json",
  "weights.safetensors",
];

Deno.test("fixtureDirectories() gives complete cases, a plain, a Reflex and a router one among them", () => {
  const directories = fixtureDirectories();
  for (const directory of directories) assert.deepEqual(readdirSync(directory).sort(), FILES, directory);
  const kinds = new Set(directories.map((directory) => basename(directory).split("-")[0]));
  assert.deepEqual([...kinds].sort(), ["nanogpt", "reflex", "router"]);
});

Deno.test("copiedFixture() finds a copy and refuses an unknown name", () => {
  assert.deepEqual(readdirSync(copiedFixture("nanogpt-tiny")).sort(), FILES);
  assert.throws(() => copiedFixture("nanogpt-huge"), /Cannot find the fixture "nanogpt-huge"/);
});
