/** What some cases cannot be run without. */
export type Need = "root" | "namespaces" | "mount";

const PROBES: Record<Need, { why: string; works(): Promise<boolean> }> = {
  root: { why: "needs root", works: () => Promise.resolve(isRoot()) },
  namespaces: {
    why: "needs root and ip for network namespaces",
    works: async () => {
      const name = `probe${Deno.pid}`;
      return isRoot() && await works("ip", "netns", "add", name) && await works("ip", "netns", "del", name);
    },
  },
  mount: {
    why: "needs root to mount a small disk",
    works: async () => {
      const path = await Deno.makeTempDir();
      const mounted = isRoot() && await works("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path);
      if (mounted) await works("umount", path);
      await Deno.remove(path);
      return mounted;
    },
  },
};

/** Why a case cannot be run on this machine; null where it can. */
export async function whyNot(needs: readonly Need[]): Promise<string | null> {
  if (Deno.build.os !== "linux") return "needs Linux";
  if (!await works("ps", "axeww", "-o", "pid=,command=")) return "needs ps";
  for (const need of needs) {
    const { why, works } = PROBES[need];
    if (!await works()) return why;
  }
  return null;
}

function isRoot(): boolean {
  return Deno.uid() === 0;
}

/** Whether a command can be run and ends well. */
async function works(command: string, ...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output();
    return success;
  } catch {
    return false;
  }
}
