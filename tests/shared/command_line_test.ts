import assert from "node:assert/strict";
import { commandLine } from "../../shared/command_line.ts";

Deno.test("commandLine() is what a person types: the installed command, else Deno's task", () => {
  const before = Deno.env.get("LOCKSTEP_COMMAND");
  try {
    Deno.env.delete("LOCKSTEP_COMMAND");
    assert.equal(commandLine("sample out/run"), "deno task cli sample out/run");
    Deno.env.set("LOCKSTEP_COMMAND", "lockstep");
    assert.equal(commandLine("sample out/run"), "lockstep sample out/run");
  } finally {
    if (before === undefined) Deno.env.delete("LOCKSTEP_COMMAND");
    else Deno.env.set("LOCKSTEP_COMMAND", before);
  }
});
