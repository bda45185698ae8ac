import { cpus } from "node:os";

/** This machine in a few words: `2 × AMD EPYC, linux x86_64`. */
export function describeMachine(): string {
  const cores = cpus();
  return `${cores.length} × ${cores.at(0)?.model.trim() ?? "unknown"}, ${Deno.build.os} ${Deno.build.arch}`;
}
