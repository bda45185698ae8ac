/** A process that a scenario has started, itself or through another one. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  /** "worker-1"; null for one that is no worker. */
  readonly worker: string | null;
}

/**
 * The living processes whose environment holds `mark`, a text that no other process has. Asks `ps`, as a program may not
 * read /proc under Deno unless it may do everything.
 */
export async function processesWith(mark: string): Promise<Process[]> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["axeww", "-o", "pid=,ppid=,stat=,command="],
    stdout: "piped",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).split("\n").flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (command === undefined || state.startsWith("Z") || !command.includes(mark)) return [];
    const [, worker = null] = / worker (?:.* )?--id=([\w.-]+)/.exec(command) ?? [];
    return [{ pid: Number(pid), parent: Number(parent), worker }];
  });
}

/** The memory of a process that is in RAM, in bytes. */
export async function memoryOf(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", String(pid)] }).output();
  return 1024 * Number(new TextDecoder().decode(stdout));
}
