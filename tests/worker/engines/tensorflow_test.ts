import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const SUITE = fileURLToPath(new URL("tensorflow_suite.ts", import.meta.url));
const PACKAGE_FILE = new URL("../../../worker/engines/tensorflow_package.ts", import.meta.url).href;

/** Prints whether the binding is built; in a process of its own, so that the package enters no lock file. */
const PROBE = `
import { BINDING, packageFolder, TENSORFLOW_PACKAGE } from ${JSON.stringify(PACKAGE_FILE)};
console.log(await Deno.stat(await packageFolder(TENSORFLOW_PACKAGE) + BINDING).then(() => "built", () => "missing"));
`;

async function deno(args: string[]): Promise<{ code: number; out: string }> {
  const env = { NO_COLOR: "1", TF_CPP_MIN_LOG_LEVEL: "3" };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env }).output();
  return { code, out: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

const isBuilt = Deno.env.get("LOCKSTEP_TEST_TENSORFLOW") !== undefined &&
  (await deno(["eval", "--quiet", "--no-lock", PROBE])).out.includes("built");

Deno.test({
  name: `the engine tensorflow keeps the contract, passes every reference case and leaves no tensor behind${
    isBuilt
      ? ""
      : " (skipped: deno task setup-tensorflow has not been run, or LOCKSTEP_TEST_TENSORFLOW is not set)"
  }`,
  ignore: !isBuilt,
  async fn() {
    const { code, out } = await deno(["test", "-A", "--quiet", "--no-lock", SUITE]);
    assert.equal(code, 0, out.slice(-4000));
    console.log(out.trimEnd().split("\n").findLast((line) => line.includes(" passed ")));
  },
});
