import assert from "node:assert/strict";
import { defineCommand } from "../../../coordinator/cli/command.ts";
import { type CommandEntry, commands } from "../../../coordinator/cli/commands.ts";
import { main } from "../../../coordinator/cli/main.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { about, optional, text, truth, wholeNumber } from "../../../shared/config/kinds.ts";
import project from "../../../deno.json" with { type: "json" };

/** What the fake commands were run with. */
interface Call {
  options: unknown;
  words: string[];
}

/** Runs the program with two fake commands: `greet` with options of its own, `fit` that takes the configuration. */
async function runFake(args: string[], fail?: unknown) {
  const calls: Call[] = [];
  const loaded: string[] = [];
  const run = (call: Call) => {
    calls.push(call);
    return fail === undefined ? Promise.resolve(7) : Promise.reject(fail);
  };
  const greet = defineCommand({
    summary: "Greet people",
    usage: "NAME…",
    options: {
      how_often: wholeNumber(1).default(1).register(about, { unit: "times", help: "How often" }),
      ending: optional(text("a text")).default(null).register(about, { help: "What follows" }),
      loud: truth().default(false).register(about, { help: "Whether to shout" }),
      polite: truth().default(true).register(about, { help: "Whether to bow" }),
    },
    example: "lockstep greet Ada --how_often=3",
    run,
  });
  const fit = defineCommand({
    summary: "Fit a model",
    usage: "PRESET",
    options: { dry_run: truth().default(false).register(about, { help: "Whether to start nothing" }) },
    config: ["optimizer"],
    example: "lockstep fit sort-demo",
    run,
  });
  const entry = (name: string, command: typeof greet): CommandEntry => ({
    name,
    summary: command.summary,
    load() {
      loaded.push(name);
      return Promise.resolve({ command });
    },
  });
  let out = "";
  let err = "";
  const status = await main(args, {
    commands: [
      entry("greet", greet),
      entry("fit", fit),
      { name: "again", summary: "Do it once more", commands: [entry("greet", greet)] },
      { ...entry("both", fit), commands: [entry("greet", greet)] },
    ],
    output: { out: (line) => void (out += line), err: (line) => void (err += line) },
  });
  return { status, out, err, calls, loaded };
}

Deno.test("main() runs a command with typed options, and its status is the program's", async () => {
  const { status, calls, loaded, err } = await runFake(["greet", "Ada", "--how-often", "3", "Bob", "--loud"]);
  assert.equal(err, "");
  assert.equal(status, 7);
  assert.deepEqual(loaded, ["greet"]);
  assert.deepEqual(calls, [{
    options: { how_often: 3, ending: null, loud: true, polite: true },
    words: ["Ada", "Bob"],
  }]);
});

Deno.test("main() takes dashes and underscores alike, --key=value and --no-flag", async () => {
  const { calls } = await runFake(["greet", "--how_often=2", "--no-polite", "--ending=a=b"]);
  assert.deepEqual(calls, [{
    options: { how_often: 2, ending: "a=b", loud: false, polite: false },
    words: [],
  }]);
});

Deno.test("main() passes what a command with configuration does not know on to it, in order", async () => {
  const words = ["sort-demo", "--n-layer", "3", "--bias", "--reflex.heads=[1,1,1]", "--no-decay-lr"];
  const { calls } = await runFake(["fit", ...words.slice(0, 3), "--dry-run", ...words.slice(3)]);
  assert.deepEqual(calls, [{ options: { dry_run: true }, words }]);
});

Deno.test("main() lists commands without loading them", async () => {
  for (const args of [["--help"], ["help"]]) {
    const { status, out, loaded } = await runFake(args);
    assert.equal(status, 0);
    assert.match(out, /greet .*Greet people\n.*fit .*Fit a model/);
    assert.deepEqual(loaded, []);
  }
});

Deno.test("main() shows a command's options with units and defaults, and its example", async () => {
  for (const args of [["greet", "--help"], ["greet", "Ada", "-h"], ["help", "greet"]]) {
    const { status, out, calls } = await runFake(args);
    assert.equal(status, 0);
    assert.deepEqual(calls, []);
    assert.match(out, /^Usage: lockstep greet NAME…\n/);
    assert.match(out, /--how_often <times> +How often \(a whole number of at least 1; default\s+1\)/);
    assert.match(out, /--no-polite/);
    assert.match(out, /\nExample:\n {2}lockstep greet Ada --how_often=3\n$/);
    assert.doesNotMatch(out, /--batch_size/);
  }
});

Deno.test("main() shows the keys of the sections that a command takes", async () => {
  const { out } = await runFake(["fit", "--help"]);
  assert.match(out, /Configuration, optimizer:\n {2}--batch_size <sequences>/);
  assert.doesNotMatch(out, /--n_layer/);
});

Deno.test("main() runs a command of a group, and lists and helps with them", async () => {
  const { status, calls } = await runFake(["again", "greet", "Ada", "--loud"]);
  assert.equal(status, 7);
  assert.deepEqual(calls, [{
    options: { how_often: 1, ending: null, loud: true, polite: true },
    words: ["Ada"],
  }]);
  const { out: list, loaded } = await runFake(["again", "--help"]);
  assert.match(list, /^Usage: lockstep again .*\n\nDo it once more\n[^]*greet .*Greet people/);
  assert.deepEqual(loaded, []);
  const { out: help } = await runFake(["help", "again", "greet"]);
  assert.match(help, /^Usage: lockstep again greet NAME…\n/);
  const { status: wrong, err } = await runFake(["again", "gret"]);
  assert.equal(wrong, 2);
  assert.match(err, /^error E_USAGE: unknown command 'gret'/);
});

Deno.test("main() runs a group that is a command itself, unless one of its own commands follows", async () => {
  const { calls: own } = await runFake(["both", "sort-demo", "--dry-run"]);
  assert.deepEqual(own, [{ options: { dry_run: true }, words: ["sort-demo"] }]);
  const { calls: inner } = await runFake(["both", "greet", "Ada", "--loud"]);
  assert.deepEqual(inner.map(({ words }) => words), [["Ada"]]);
  const { out } = await runFake(["both", "--help"]);
  assert.match(out, /^Usage: lockstep both PRESET\n/);
});

Deno.test("main() prints the version", async () => {
  const { status, out } = await runFake(["--version"]);
  assert.equal(status, 0);
  assert.equal(out.trim(), `lockstep ${project.version}`);
});

const usageErrors: [string, string[], RegExp][] = [
  [
    "an unknown command",
    ["gret"],
    /^error E_USAGE: unknown command 'gret' \(Did you mean greet\?\): --help lists what/,
  ],
  [
    "an unknown option",
    ["greet", "--lou"],
    /^error E_USAGE: unknown option '--lou' \(Did you mean --loud\?\): --help/,
  ],
  [
    "an option without its value",
    ["greet", "--ending"],
    /^error E_USAGE: option '--ending <value>' argument missing/,
  ],
  [
    "a value that an option does not accept",
    ["greet", "--how_often=0"],
    /^error E_CONFIG: Cannot set how_often .* "0"/,
  ],
];

for (const [what, args, line] of usageErrors) {
  Deno.test(`main() ends with 2 and one line for ${what}`, async () => {
    const { status, err, out, calls } = await runFake(args);
    assert.equal(status, 2);
    assert.match(err, line);
    assert(!err.includes("\n"));
    assert.equal(out, "");
    assert.deepEqual(calls, []);
  });
}

Deno.test("main() ends with 2 and the help on stderr for no words at all", async () => {
  const { status, err, out } = await runFake([]);
  assert.equal(status, 2);
  assert.equal(out, "");
  assert.match(err, /^Usage: lockstep/);
});

Deno.test("main() ends with the status of a LockstepError's code and one line", async () => {
  const { status, err } = await runFake(["greet"], new LockstepError("E_TOO_FEW", "Cannot go on alone"));
  assert.equal(status, 75);
  assert.equal(err, "error E_TOO_FEW: Cannot go on alone");
});

Deno.test("main() ends with 1 and one sentence for an error that nobody foresaw", async () => {
  const { status, err } = await runFake(["fit"], new TypeError("x is not a function\nat y"));
  assert.equal(status, 1);
  assert.equal(err, "unexpected error: x is not a function (run again with --verbose for the stack)");
});

Deno.test("main() prints the stack with --verbose", async () => {
  const { status, err } = await runFake(["fit", "--verbose"], new TypeError("x is not a function"));
  assert.equal(status, 1);
  assert.match(err, /^unexpected error: x is not a functionTypeError: x is not a function\n +at /);
});

Deno.test("main() survives what is thrown without being an error", async () => {
  const { status, err } = await runFake(["fit"], "plain text");
  assert.equal(status, 1);
  assert.match(err, /^unexpected error: plain text /);
});

const entries = commands.flatMap((each) => "commands" in each ? [each, ...each.commands] : [each]);

for (const { name, summary, load } of entries) {
  if (load === undefined) continue;
  Deno.test(`commands lists ${name} with its module's own summary`, async () => {
    assert.equal((await load()).command.summary, summary);
  });
}
