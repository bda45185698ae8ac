/**
 * What the image's first stage does, done in a folder: the very COPY and RUN lines of deploy/Dockerfile, with their paths moved
 * there. The second stage copies what this leaves, and was not built where there is no Docker.
 */
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sandbox } from "../integration/support.ts";

const SOURCES = fileURLToPath(new URL("../..", import.meta.url));
const PYTHON = Deno.env.get("LOCKSTEP_TEST_PYTHON") ?? "python3";

/** Instructions of the stage `build`, lines that go on joined. */
async function instructions(): Promise<{ name: string; words: string }[]> {
  const text = await Deno.readTextFile(join(SOURCES, "deploy", "Dockerfile"));
  const [, stage] = text.replaceAll("\\\n", "").split(/^FROM .*$/m);
  return stage.split("\n").filter((line) => /^[A-Z]/.test(line)).map((line) => {
    const [, name, words] = /^(\w+) (.*)$/.exec(line) ?? [];
    return { name, words };
  });
}

const hasVenv = await works(PYTHON, ["-c", "import venv, ensurepip"]);

Deno.test({
  name: `deploy/Dockerfile's first stage installs the program and runs it${
    hasVenv ? "" : ` (skipped: ${PYTHON} has no venv)`
  }`,
  ignore: !hasVenv,
  async fn() {
    await using box = await sandbox();
    assert.ok(await works(PYTHON, ["-m", "venv", box.path("usr")]));
    const moved = (text: string) =>
      text.replaceAll(
        /(?<![\w/])\/(usr\/local|opt|tmp)\//g,
        (_, folder) => box.path(folder === "usr/local" ? "usr" : folder, "/"),
      );
    await Deno.mkdir(box.path("tmp"));
    // Of this machine's environment, the way to its registries is needed.
    const env: Record<string, string> = { PATH: `${box.path("usr/bin")}:/usr/bin:/bin`, NO_COLOR: "1" };
    let cwd = box.dir;
    const ran: string[] = [];
    const run: Record<string, (words: string) => Promise<void> | void> = {
      ARG: set,
      ENV: set,
      async WORKDIR(words) {
        cwd = moved(words);
        await Deno.mkdir(cwd, { recursive: true });
      },
      async COPY(words) {
        const paths = words.split(" ");
        const to = paths.pop() ?? "";
        for (const path of paths) {
          await cp(join(SOURCES, path), join(cwd, to === "./" ? path : to), { recursive: true });
        }
      },
      async RUN(words) {
        const { success, stdout, stderr } = await new Deno.Command("sh", {
          args: ["-ec", moved(words)],
          cwd,
          env,
        }).output();
        const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        assert.ok(success, `${words} failed: ${said}`);
        ran.push(words);
      },
    };
    function set(words: string): void {
      for (const word of words.split(" ")) {
        const [name, value] = word.split("=");
        env[name] = moved(value);
      }
    }
    for (const { name, words } of await instructions()) await run[name](words);
    assert.ok(ran.some((words) => words.includes("lockstep train")), ran.join("\n"));
    const { success, stdout } = await new Deno.Command("lockstep", {
      args: ["--version"],
      cwd: "/",
      env,
    })
      .output();
    assert.ok(success);
    assert.match(new TextDecoder().decode(stdout), /^lockstep \d+\.\d+\.\d+/);
  },
});

async function works(command: string, args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}
