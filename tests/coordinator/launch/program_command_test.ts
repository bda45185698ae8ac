import assert from "node:assert/strict";
import { programCommand } from "../../../coordinator/launch/program_command.ts";

Deno.test("programCommand() starts this program with the task's permissions, from any folder", async () => {
  const { environment, words: [program, ...args] } = programCommand();
  assert.equal(program, Deno.execPath());
  assert.ok(args.includes("--allow-ffi"));
  assert.deepEqual(Object.keys(environment), ["GLIBC_TUNABLES"]);
  const { success, stdout } = await new Deno.Command(program, {
    args: [...args, "--version"],
    cwd: "/",
    env: environment,
  }).output();
  assert.ok(success);
  assert.match(new TextDecoder().decode(stdout), /^lockstep \d/);
});
