import assert from "node:assert/strict";
import { join } from "node:path";
import { pack } from "../../coordinator/cli/package.ts";
import { type Ended, isAlive, Program, within } from "./support.ts";

/** Takes milliseconds, on any machine. */
const TINY = ["--n_layer=2", "--n_embd=12", "--eval_iters=1", "--eval_items=0"];

const NO_NPM = await whyNoNpm();

/** The package, installed where there was nothing, on a machine whose PATH knows Node and no Deno. */
class Installation {
  constructor(readonly dir: string, private readonly env: Record<string, string>) {}

  /** The folder in which a person stands. */
  get cwd(): string {
    return join(this.dir, "work");
  }

  start(words: readonly string[]): Program {
    const child = new Deno.Command(join(this.dir, "prefix", "bin", "lockstep"), {
      args: [...words],
      cwd: this.cwd,
      clearEnv: true,
      detached: true, // a job of its own, as a shell's
      env: this.env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Program(child, 90_000);
  }

  run(words: readonly string[]): Promise<Ended> {
    return this.start(words).ended;
  }

  /** Every installed file, with its size and when it was written. */
  async files(folder = join(this.dir, "prefix")): Promise<string[]> {
    const found = await Array.fromAsync(Deno.readDir(folder), async ({ name, isDirectory }) => {
      const path = join(folder, name);
      const { size, mtime } = await Deno.lstat(path);
      return isDirectory ? await this.files(path) : [`${path} ${size} ${mtime?.getTime()}`];
    });
    return found.flat().sort();
  }
}

async function install(dir: string): Promise<Installation> {
  const [bin, prefix] = [join(dir, "bin"), join(dir, "prefix")];
  for (const name of ["bin", "home", "tmp", "work"]) await Deno.mkdir(join(dir, name));
  const archive = await pack(dir);
  const npm = ["install", "--global", "--silent", "--prefer-offline", `--prefix=${prefix}`, archive];
  await output("npm", npm);
  for (const name of ["node", "sh"]) {
    await Deno.symlink((await output("sh", ["-c", `command -v ${name}`])).trim(), join(bin, name));
  }
  return new Installation(dir, {
    PATH: bin,
    HOME: join(dir, "home"),
    TMPDIR: join(dir, "tmp"),
    DENO_DIR: JSON.parse(await output(Deno.execPath(), ["info", "--json"])).denoDir,
    NO_COLOR: "1",
  });
}

async function output(command: string, args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(command, { args, stderr: "inherit" }).output();
  assert.ok(success, `${command} ${args.join(" ")}`);
  return new TextDecoder().decode(stdout);
}

/** Why npm cannot be asked here, for the tests' titles; null where it can. */
async function whyNoNpm(): Promise<string | null> {
  try {
    const { success } = await new Deno.Command("npm", { args: ["--version"], stdout: "null" }).output();
    return success ? null : "npm does not work";
  } catch {
    return "npm is needed";
  }
}

Deno.test({
  name: `the package that npm installs gives the command lockstep, on a machine without Deno${
    NO_NPM === null ? "" : ` (skipped: ${NO_NPM})`
  }`,
  ignore: NO_NPM !== null,
  async fn(t) {
    const dir = await Deno.makeTempDir({ prefix: "package-" });
    try {
      const installed = await install(dir);
      const before = await installed.files();

      await t.step("lockstep --help is there at once", async () => {
        await installed.run(["--version"]); // Deno keeps what it has made of the sources
        const began = performance.now();
        const { code, out } = await installed.run(["--help"]);
        assert.equal(code, 0);
        assert.match(out, /^Usage: lockstep /);
        // 0.4 s on an idle machine; ten times the 2 s that people may wait, for one that is busy.
        assert.ok(performance.now() - began < 20_000);
      });

      await t.step("lockstep train works from an empty folder, with several processes", async () => {
        const words = ["train", "sort-demo", "--max_iters=3", "--nproc_per_node=2", ...TINY];
        const { code, out, err } = await installed.run(words);
        assert.equal(code, 0, out + err);
        assert.match(out, /^iter 2: loss /m);
        assert.match(out, /^run directory: out\/sort-demo$/m);
        assert.match(out, /^ {2}lockstep sample out\/sort-demo$/m);
        assert.doesNotMatch(out + err, /deno task/);
        assert.deepEqual([...Deno.readDirSync(installed.cwd)].map(({ name }) => name), ["out"]);
      });

      await t.step("lockstep sample and eval take the run", async () => {
        const sampled = await installed.run(["sample", "out/sort-demo", "--num_samples=1"]);
        assert.equal(sampled.code, 0, sampled.err);
        const evaluated = await installed.run(["eval", "out/sort-demo", "--eval_items=4", "--json"]);
        assert.equal(evaluated.code, 0, evaluated.err);
      });

      await t.step("lockstep ends with the program's own status", async () => {
        const { code, err } = await installed.run(["train", "--learning_rat=1"]);
        assert.equal(code, 2);
        assert.match(err, /^error E_CONFIG: .*learning_rate$/m);
      });

      const signals: Record<string, (program: Program) => void> = {
        "a SIGTERM that it gets alone": (program) => program.kill("SIGTERM"),
        "a terminal's Ctrl-C that reaches the program too": (program) => program.interrupt(),
      };
      for (const [signal, send] of Object.entries(signals)) {
        await t.step(`lockstep ends after ${signal}: the run is saved, and nothing is left`, async () => {
          const out_dir = signal.split(" ")[1];
          const words = ["--max_iters=1000000", "--log_interval=1", "--nproc_per_node=1"];
          const program = installed.start(["train", ...words, ...TINY, `--out_dir=${out_dir}`]);
          await program.says("iter 5:");
          const started = program.children();
          send(program);
          const { code, out, err } = await program.ended;
          assert.equal(code, 130, err);
          assert.match(out, /^stopped after step \d+; to go on: lockstep train --init_from=resume /m);
          await within(2_000, () => !started.some(isAlive), "the program ends");
        });
      }

      await t.step("nothing was written where it is installed", async () => {
        assert.deepEqual(await installed.files(), before);
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
