/** What a machine shows of its GPUs, before any library of theirs is loaded. */
export interface Machine {
  /** NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them. */
  readonly nvidiaGpus: readonly string[];
  /** Why there is none, in a few words; null where there is one. */
  readonly noNvidia: string | null;
  /** NVIDIA's driver in its own words; null where it says nothing. */
  readonly nvidiaDriver: string | null;
  /** Why there is no GPU of any vendor, in a few words; null where one may be. */
  readonly noGpu: string | null;
}

/** Where Linux shows GPUs (NVIDIA's also through WSL), from the root. */
const NVIDIA_NODES = ["dev/nvidia[0-9]*", "dev/nvidiactl", "dev/dxg"];
const NODES = [...NVIDIA_NODES, "dev/dri/renderD*", "proc/driver/nvidia/gpus/*"];

/** Prints those that exist, and the first line of the driver's version behind "driver ". */
const SCRIPT = `cd "$1" || exit
for node in ${NODES.join(" ")}; do [ -e "$node" ] && echo "$node"; done
read -r line < proc/driver/nvidia/version && echo "driver $line"`;

export interface MachineOptions {
  /** Folder in which dev and proc are looked at. */
  readonly root?: string;
  /** As in the environment variable CUDA_VISIBLE_DEVICES. */
  readonly visible?: string;
}

/**
 * Looks at this machine. A shell does, in a few milliseconds: without `--allow-all` Deno refuses even to list /dev. On other
 * systems than Linux a GPU may be there, and none for CUDA.
 */
export async function readMachine(
  { root = "/", visible = Deno.env.get("CUDA_VISIBLE_DEVICES") }: MachineOptions = {},
): Promise<Machine> {
  if (Deno.build.os !== "linux") {
    return {
      nvidiaGpus: [],
      noNvidia: `CUDA is not used on ${Deno.build.os}`,
      nvidiaDriver: null,
      noGpu: null,
    };
  }
  const lines = await list(root);
  if (lines === undefined) {
    const unseen = "--allow-run is denied";
    return { nvidiaGpus: [], noNvidia: unseen, nvidiaDriver: null, noGpu: unseen };
  }
  return describeMachine(lines, visible);
}

/** Undefined where no process may be started. */
async function list(root: string): Promise<string[] | undefined> {
  try {
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", SCRIPT, "sh", root],
      stdin: "null",
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What the lines of {@link SCRIPT} and CUDA_VISIBLE_DEVICES say. */
export function describeMachine(lines: readonly string[], visible: string | undefined): Machine {
  const starting = (start: string) => lines.filter((line) => line.startsWith(start));
  // In a container the driver may list GPUs of the host that have no node here, or show no list at all.
  const nodes = lines.filter((line) => /^dev\/nvidia\d+$/.test(line)).length;
  const listed = starting("proc/driver/nvidia/gpus/").length;
  const throughWsl = lines.includes("dev/dxg") ? 1 : 0;
  const count = nodes > 0 && listed > 0 ? Math.min(nodes, listed) : nodes || listed || throughWsl;
  const nvidiaGpus = visibleGpus(count, visible);
  const hidden = count > 0 && nvidiaGpus.length === 0;
  return {
    nvidiaGpus,
    noNvidia: hidden ? "CUDA_VISIBLE_DEVICES hides every GPU" : count === 0 ? "no NVIDIA GPU" : null,
    nvidiaDriver: starting("driver ").at(0)?.slice("driver ".length) ?? null,
    noGpu: count === 0 && starting("dev/dri/").length === 0 ? "no GPU" : null,
  };
}

/** CUDA takes the names up to the first that it does not know; -1 is the usual one. */
function visibleGpus(count: number, visible: string | undefined): string[] {
  if (count === 0 || visible === undefined) return Array.from({ length: count }, (_, i) => String(i));
  const names = visible.split(",").map((name) => name.trim());
  const end = names.findIndex((name) => name === "" || /^-\d+$/.test(name) || Number(name) >= count);
  return end < 0 ? names : names.slice(0, end);
}
