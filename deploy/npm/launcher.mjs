#!/usr/bin/env node
// @ts-check
/**
 * The command `lockstep` where it is installed: runs mod.ts as the tasks of deno.json do, from any folder, with the Deno
 * that npm has installed beside this package, or with the one that runs this file. Packages are fetched into the user's
 * cache at the first start, as the lock file says; nothing is written beside the sources.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("../..", import.meta.url));
const CONFIG = join(SOURCES, "deno.json");

/** Signals that end a run, Slurm's warning among them. */
const PASSED_ON = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"]);

/**
 * The permissions and the environment of the task that `deno task` has for these words.
 *
 * @param {string[]} words
 */
function taskOf([command]) {
  const { tasks } = JSON.parse(readFileSync(CONFIG, "utf8"));
  const [, variables, options] = /^((?:\w+=\S+ )*)deno run (.*) mod\.ts/.exec(
    command === "train" ? tasks.train : tasks.cli,
  ) ?? ["", "", ""];
  return {
    options: options.split(" "),
    env: Object.fromEntries(variables.trim().split(" ").map((variable) => variable.split(/=(.*)/s, 2))),
  };
}

/** The executable of Deno that the package `deno` brings for this platform, without the script that stands before it. */
function findDeno() {
  if ("Deno" in globalThis) return process.execPath;
  const { platform, arch } = process;
  const build = `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`;
  try {
    const besideDeno = createRequire(createRequire(import.meta.url).resolve("deno/package.json"));
    const folder = dirname(besideDeno.resolve(`${build}/package.json`));
    return join(folder, platform === "win32" ? "deno.exe" : "deno");
  } catch {
    console.error(
      `error E_USAGE: Cannot start lockstep as the npm package ${build} is required and is not there: ` +
        "install it again with optional dependencies, on Linux with glibc, macOS or Windows, x64 or arm64",
    );
    process.exit(2);
  }
}

/**
 * Becomes the program where Node can, so that nothing stands between it and who starts or stops it; else runs it as a
 * child, passes signals on and ends as it does.
 *
 * @param {string} executable
 * @param {{ args: string[], env: NodeJS.ProcessEnv }} options
 */
function become(executable, { args, env }) {
  if (process.execve !== undefined) process.execve(executable, [executable, ...args], env);
  const child = spawn(executable, args, { env, stdio: "inherit" });
  for (const signal of PASSED_ON) {
    process.on(signal, () => child.kill(signal)); // Ctrl-C reaches both: the program takes that for one
  }
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
}

const words = process.argv.slice(2);
const { options, env } = taskOf(words);
become(findDeno(), {
  args: ["run", `--config=${CONFIG}`, "--frozen", ...options, join(SOURCES, "mod.ts"), ...words],
  env: { ...env, ...process.env, LOCKSTEP_COMMAND: "lockstep" },
});
