import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { chooseEngine } from "../../../worker/engines/choose_engine.ts";

const SUITE = fileURLToPath(new URL("device_engine_suite.ts", import.meta.url));

/** Engines that this machine is set up for, with commas between: `.ci/run` sets them up and says so. */
const AVAILABLE = (Deno.env.get("LOCKSTEP_TEST_ENGINES") ?? "").split(",");

const SET_UP: Record<string, string> = {
  tensorflow: "deno task setup-tensorflow",
  webgpu: "a Vulkan driver, Mesa's software one will do",
  xla: "deno task setup-xla",
};

/** Makes a test of each engine that needs more than this checkout; see device_engine_suite.ts for `which`. */
export function deviceEngineTests(which: "some" | "all"): void {
  for (const [name, needs] of Object.entries(SET_UP)) {
    const ignore = !AVAILABLE.includes(name);
    Deno.test({
      name:
        `the engine ${name} keeps the contract, passes ${which} reference cases and leaves no tensor behind${
          ignore ? ` (skipped: needs ${needs}, and ${name} in LOCKSTEP_TEST_ENGINES)` : ""
        }`,
      ignore,
      async fn() {
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["test", "-A", "--quiet", "--no-lock", SUITE, "--", name, which],
          env: { NO_COLOR: "1", TF_CPP_MIN_LOG_LEVEL: "3" },
        }).output();
        const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        assert.equal(code, 0, said.slice(-4000));
        const { device, hardware } = await chooseEngine({ engine: name, device: "auto" });
        console.log(`${name} ran on ${hardware ?? device}`);
        console.log(said.trimEnd().split("\n").findLast((line) => line.includes(" passed ")));
      },
    });
  }
}
