/** What this machine lets a process have. Null where it does not say. */
export interface MachineLimits {
  /** Files that a process may have open. */
  readonly openFiles: number | null;
  /** Memory that processes can still take, in bytes: the machine's, or what is left of a container's or job's. */
  readonly memoryBytes: number | null;
  /** What bounds it. */
  readonly memoryOf: "the machine" | "its cgroup";
  /** Room in /dev/shm, in bytes. */
  readonly shmBytes: number | null;
}

/** Prints `files N`, `memory KIB`, `cgroup MAX USED RECLAIMABLE` for each level, `shm KIB`. */
const SCRIPT = `echo "files $(ulimit -Sn)"
sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/memory \\1/p' /proc/meminfo
path=$(sed -n 's/^0:://p' /proc/self/cgroup)
while :; do
  at=/sys/fs/cgroup$path
  [ -r "$at/memory.max" ] && echo "cgroup $(cat "$at/memory.max") $(cat "$at/memory.current") $(sed -n 's/^inactive_file //p' "$at/memory.stat")"
  case $path in */*) path=\${path%/*} ;; *) break ;; esac
done
path=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
for at in "/sys/fs/cgroup/memory$path" /sys/fs/cgroup/memory; do
  [ -r "$at/memory.limit_in_bytes" ] || continue
  echo "cgroup $(cat "$at/memory.limit_in_bytes") $(cat "$at/memory.usage_in_bytes") $(sed -n 's/^total_inactive_file //p' "$at/memory.stat")"
done
df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print "shm", $4 }'`;

/**
 * Asks a shell, as a program may not read /proc and /sys under Deno unless it may do everything. It has the limit of open
 * files from this process, which Deno raises as far as it may, as those of workers.
 */
export async function readMachineLimits(): Promise<MachineLimits> {
  try {
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", SCRIPT],
      stdin: "null",
      stderr: "null",
    }).output();
    return parseMachineLimits(new TextDecoder().decode(stdout));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotFound) {
      return parseMachineLimits("");
    }
    throw error;
  }
}

/** What the lines of {@link SCRIPT} say. */
export function parseMachineLimits(text: string): MachineLimits {
  const rows = text.split("\n").map((line) => line.split(" "));
  const only = (name: string) => rows.find(([first]) => first === name)?.[1];
  const machine = kibibytes(only("memory")) ?? Infinity;
  const cgroups = rows.filter(([first]) => first === "cgroup").map(([, max, used, reclaimable]) =>
    Number(max) - Number(used) + Number(reclaimable || 0) // "max" becomes NaN
  );
  const cgroup = Math.min(...cgroups.filter((bytes) => !Number.isNaN(bytes)));
  const memory = Math.max(0, Math.min(machine, cgroup));
  return {
    openFiles: wholeNumber(only("files")),
    memoryBytes: Number.isFinite(memory) ? memory : null,
    memoryOf: cgroup < machine ? "its cgroup" : "the machine",
    shmBytes: kibibytes(only("shm")),
  };
}

/** "unlimited", and whatever else is no number, is null. */
function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

function kibibytes(text: string | undefined): number | null {
  const number = wholeNumber(text);
  return number === null ? null : 1024 * number;
}
