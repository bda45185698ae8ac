import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pack } from "../../coordinator/cli/package.ts";
import { CheckpointStore } from "../../shared/checkpoint/store.ts";

const PAGE = fileURLToPath(new URL("../../docs/launch_cloud.md", import.meta.url));

/** Nobody: an ordinary user, with a home that is empty. */
const USER = 65534;

/** What a machine without GPUs and without Kaggle runs in place of the page's words. */
const INSTEAD: [string, string][] = [
  ["--nproc-per-node=gpu", "--nproc-per-node=2 --device=cpu --eval-iters=1"],
  ["--max-time=11h30m", "--max-time=8s"],
  ["/kaggle/", "$KAGGLE/"],
];

const REASON = await whyNot();

/** The page's cells, in its order: command lines that a notebook passes to a shell. */
function cells(page: string): string[] {
  return page.split("\n").flatMap((line) => /^ {4}!(.*)$/.exec(line)?.[1] ?? []);
}

/** Folders as on Kaggle, of a user who has nothing: `home`, `input`, `working`. */
class Session {
  constructor(private readonly dir: string) {}

  path(...names: string[]): string {
    return join(this.dir, ...names);
  }

  /** Runs a cell as that user. */
  async run(cell: string): Promise<{ code: number; said: string }> {
    const command = INSTEAD.reduce((text, [word, other]) => text.replaceAll(word, other), cell);
    const { code, stdout, stderr } = await new Deno.Command("setpriv", {
      args: [`--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "bash", "-c", command],
      cwd: this.path("working"),
      clearEnv: true,
      env: {
        ...machine(),
        PATH: `${this.path("home/.local/bin")}:/usr/local/bin:/usr/bin:/bin`,
        HOME: this.path("home"),
        KAGGLE: this.dir,
        DENO_DIR: this.path("deno"),
        PIP_BREAK_SYSTEM_PACKAGES: "1", // Debian's pip leaves no user's folder alone
        NO_COLOR: "1",
      },
      stdin: "null",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, said: `$ ${command}\n${out}${err}` };
  }

  /** Gives the user a folder. */
  async give(...names: string[]): Promise<void> {
    await Deno.mkdir(this.path(...names), { recursive: true });
    await Deno.chown(this.path(...names), USER, USER);
  }
}

/** What a machine tells all its users: certificates, a proxy. */
function machine(): Record<string, string> {
  const personal = /^(DENO|XDG|LOCKSTEP|npm|PYENV)_/i;
  return Object.fromEntries(Object.entries(Deno.env.toObject()).filter(([name]) => !personal.test(name)));
}

/** A user's cache of Deno with the packages that this machine has fetched, so that only npm's part is fetched here. */
async function giveCache(session: Session): Promise<void> {
  const { denoDir } = JSON.parse((await output(Deno.execPath(), ["info", "--json"])).trim());
  await session.give("deno");
  const [from, to] = [join(denoDir, "npm"), session.path("deno")];
  // The files are those of this machine's cache, and stay its owner's: they are only read.
  await output("sh", ["-c", 'cp -rl "$0" "$1" 2>/dev/null || cp -r "$0" "$1"', from, to]);
  await output("find", [to, "-type", "d", "-exec", "chown", `${USER}:${USER}`, "{}", "+"]);
}

async function output(command: string, args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(command, { args, stderr: "inherit" }).output();
  assert.ok(success, `${command} ${args.join(" ")}`);
  return new TextDecoder().decode(stdout);
}

/** Why the cells cannot be run here, for the test's title; null where they can. */
async function whyNot(): Promise<string | null> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "needs root on Linux, to become another user";
  for (const words of [["npm", "--version"], ["setpriv", "--version"]]) {
    const [command, ...args] = words;
    const there = await new Deno.Command(command, { args, stdout: "null" }).output().catch(() => null);
    if (there?.success !== true) return `${command} is needed`;
  }
  return null;
}

Deno.test("launch_cloud.md has every cell that a session needs", () => {
  const page = cells(Deno.readTextFileSync(PAGE));
  for (
    const word of ["npm install", "pip install", "setup-xla", "cp -r", "lockstep train", "lockstep sample"]
  ) {
    assert.equal(page.filter((cell) => cell.includes(word)).length, 1, word);
  }
  for (const [word] of INSTEAD) assert.ok(page.some((cell) => cell.includes(word)), word);
});

Deno.test({
  name: `launch_cloud.md's cells work for an ordinary user with an empty home, and go on in a second session${
    REASON === null ? "" : ` (skipped: ${REASON})`
  }`,
  ignore: REASON !== null,
  async fn(t) {
    const dir = await Deno.makeTempDir({ prefix: "cloud-" });
    const session = new Session(dir);
    const page = cells(Deno.readTextFileSync(PAGE));
    const isAbout = (...words: string[]) => (cell: string) => words.some((word) => cell.includes(word));
    const withPyPi = page.filter(isAbout("pip ", "tar ", "deno task"));
    const onlyGpu = page.filter(isAbout("--cuda"));
    const rest = page.filter((cell) => ![...withPyPi, ...onlyGpu].includes(cell));
    const [install, bringBack, ...work] = rest;
    const steps = () => new CheckpointStore(session.path("working/out/moby-dick/checkpoints")).steps();
    const mustWork = async (cell: string, expected = [0]) => {
      const { code, said } = await session.run(cell);
      assert.ok(expected.includes(code), `status ${code} of ${said}`);
    };
    try {
      await Deno.chmod(dir, 0o755);
      for (const name of ["home", "working"]) await session.give(name);
      await giveCache(session);
      await pack(session.path("input", "lockstep"));

      await t.step(install, () => mustWork(install));
      for (const cell of work) {
        await t.step(cell, () => mustWork(cell, cell.includes("--max-time") ? [75] : [0]));
      }
      const before = Math.max(...await steps());
      assert.ok(before > 0);

      await Deno.rename(session.path("working"), session.path("input", "before"));
      await output("chmod", ["-R", "a-w", session.path("input", "before")]);
      await session.give("working");
      await t.step(`${bringBack} (a second session)`, () => mustWork(bringBack));
      await t.step(`${work[0]} (a second session)`, () => mustWork(work[0], [75]));
      assert.ok(Math.max(...await steps()) > before, "the second session goes on");

      const pip = await session.run("pip --version");
      const reason = pip.code === 0 ? "" : " (skipped: pip is needed)";
      await session.run("rm -r $HOME/.local");
      for (const cell of [...withPyPi, "$HOME/.local/bin/lockstep --version"]) {
        await t.step({ name: `${cell}${reason}`, ignore: pip.code !== 0, fn: () => mustWork(cell) });
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
