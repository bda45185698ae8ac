/** A Slurm cluster of its own on this machine: munged, slurmctld, and a slurmd for each of its nodes. */
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { join } from "node:path";
import { isAlive, within } from "../integration/support.ts";

const PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "unshare"];

/** Why there can be no cluster here, for titles of tests; null where there can. */
export async function whyNoSlurm(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "needs Linux";
  if (Deno.uid() !== 0) return "needs root";
  for (const name of PROGRAMS) {
    const { success } = await new Deno.Command("sh", { args: ["-c", `command -v ${name}`] }).output();
    if (!success) return `needs ${name}: apt-get install slurm-wlm munge`;
  }
  return null;
}

export interface ClusterOptions {
  /** How many nodes: node1, node2, … */
  readonly nodes: number;
  /** The folder that jobs run in. */
  readonly cwd: string;
  /** Where jobs have their temporary files. */
  readonly temporary: string;
}

/** How long anything may take that Slurm does by itself, in ms. */
const PATIENCE_MS = 30_000;

/** What a finished command wrote. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A cluster that runs; `await using` ends all its daemons and jobs and removes its folder. */
export class SlurmCluster implements AsyncDisposable {
  readonly #daemons = new Map<string, Deno.ChildProcess>();

  private constructor(private readonly dir: string, private readonly options: ClusterOptions) {}

  static async start(options: ClusterOptions): Promise<SlurmCluster> {
    const dir = await Deno.makeTempDir({ prefix: "slurm-" });
    const cluster = new SlurmCluster(dir, options);
    try {
      await cluster.#start();
      return cluster;
    } catch (error) {
      const log = await Deno.readTextFile(join(dir, "slurmctld.log")).catch(() => "no log");
      await cluster[Symbol.asyncDispose]();
      throw new Error(`Cannot start Slurm: ${log.slice(-2_000)}`, { cause: error });
    }
  }

  /** Runs a command of Slurm's, or one that calls them, in the folder of jobs. */
  async run(command: readonly string[], env: Record<string, string> = {}): Promise<Said> {
    const [program, ...args] = command;
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args,
      cwd: this.options.cwd,
      env: { ...this.#environment, ...env },
      stdin: "null",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, out, err };
  }

  /** What `scontrol show job` says of a job, by name. */
  async job(id: string): Promise<ReadonlyMap<string, string>> {
    const { code, out, err } = await this.run(["scontrol", "--oneliner", "show", "job", id]);
    assert.equal(code, 0, err);
    return new Map(
      [...out.matchAll(/(\S+?)=(\S*)/g)].map(([, name, value]): [string, string] => [name, value]),
    );
  }

  /** Waits until a job has come to one of some states. */
  async reaches(id: string, ...states: readonly string[]): Promise<string> {
    for (const end = Date.now() + 2 * PATIENCE_MS;;) {
      const state = (await this.job(id)).get("JobState") ?? "";
      if (states.includes(state)) return state;
      assert.ok(Date.now() < end, `job ${id} is ${state} and does not become ${states.join(" or ")}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** What a power cut does to a node: its daemon, and all of the jobs there, are gone at once. */
  cutPower(node: string): void {
    for (const pid of this.#processes(`SLURMD_NODENAME=${node}`)) kill(pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = this.#processes(`SLURM_CONF=${this.#conf}`);
    for (const pid of all) kill(pid);
    for (const child of this.#daemons.values()) kill(child.pid);
    await Promise.all([...this.#daemons.values()].map((child) => child.status));
    await within(PATIENCE_MS, () => !all.some(isAlive), "Slurm's processes are gone");
    await Deno.remove(this.dir, { recursive: true });
  }

  get #conf(): string {
    return join(this.dir, "slurm.conf");
  }

  get #environment(): Record<string, string> {
    return { SLURM_CONF: this.#conf, TMPDIR: this.options.temporary, NO_COLOR: "1" };
  }

  get #nodes(): string[] {
    return Array.from({ length: this.options.nodes }, (_, i) => `node${i + 1}`);
  }

  async #start(): Promise<void> {
    const { dir } = this;
    await Deno.chmod(dir, 0o755); // munged insists that all can reach its socket
    await Deno.mkdir(join(dir, "state"));
    await Deno.writeFile(join(dir, "munge.key"), crypto.getRandomValues(new Uint8Array(128)), {
      mode: 0o600,
    });
    const hosts = await Deno.readTextFile("/etc/hosts");
    await Deno.writeTextFile(join(dir, "hosts"), `127.0.0.1 ${this.#nodes.join(" ")}\n${hosts}`);
    await Deno.writeTextFile(this.#conf, configuration(dir, { nodes: this.#nodes }));
    await Promise.all(gpus.map((name) => Deno.writeTextFile(join(dir, name), "")));
    await Deno.writeTextFile(join(dir, "gres.conf"), `Name=gpu File=${join(dir, "gpu[0-1]")}\n`);
    this.#daemon("munged", ["--foreground", ...mungeFiles(dir)]);
    await within(PATIENCE_MS, () => exists(join(dir, "munge.socket")), "munged listens");
    this.#daemon("slurmctld", ["-D", "-c"]);
    for (const node of this.#nodes) this.startNode(node);
    await this.#isIdle();
  }

  /** Starts a node's daemon. */
  startNode(node: string): void {
    this.#daemon("slurmd", ["-D", "-N", node], { SLURMD_NODENAME: node });
  }

  /** Daemons and jobs see the nodes' names as a name server would tell them. */
  #daemon(program: string, args: readonly string[], env: Record<string, string> = {}): void {
    const child = new Deno.Command("unshare", {
      args: [
        "--mount",
        "sh",
        "-c",
        'mount --bind "$0" /etc/hosts && exec "$@"',
        join(this.dir, "hosts"),
        program,
        ...args,
      ],
      env: { ...this.#environment, ...env },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#daemons.set([program, ...args].join(" "), child);
  }

  async #isIdle(): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS;;) {
      const { out } = await this.run(["sinfo", "--noheader", "--format=%T %D"]);
      if (out.trim() === `idle ${this.options.nodes}`) return;
      assert.ok(Date.now() < end, `nodes are not idle: ${out}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** This cluster's processes that have a variable in their environment. */
  #processes(variable: string): number[] {
    return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        const variables = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0");
        const isOurs = variables.includes(`SLURM_CONF=${this.#conf}`) && variables.includes(variable);
        return isOurs ? [Number(name)] : [];
      } catch {
        return []; // it has ended meanwhile
      }
    });
  }
}

/** Files that stand for the devices of GPUs which each node says it has. */
const gpus = ["gpu0", "gpu1"];

function mungeFiles(dir: string): string[] {
  return [
    `--socket=${join(dir, "munge.socket")}`,
    `--key-file=${join(dir, "munge.key")}`,
    `--pid-file=${join(dir, "munge.pid")}`,
    `--log-file=${join(dir, "munge.log")}`,
    `--seed-file=${join(dir, "munge.seed")}`,
  ];
}

/** slurm.conf: everything in one folder, ports that are free, and no waiting where Slurm would wait for minutes. */
function configuration(dir: string, { nodes }: { nodes: readonly string[] }): string {
  const [control, ...ports] = freePorts(1 + nodes.length);
  return `ClusterName=lockstep
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${control}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${dir}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=${dir}/state
SlurmctldPidFile=${dir}/slurmctld.pid
SlurmctldLogFile=${dir}/slurmctld.log
SlurmdPidFile=${dir}/slurmd.%n.pid
SlurmdLogFile=${dir}/slurmd.%n.log
SlurmdSpoolDir=${dir}/spool.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
GresTypes=gpu
ReturnToService=2
SlurmdParameters=config_overrides
SlurmdTimeout=5
KillWait=5
CompleteWait=0
${
    nodes.map((node, i) =>
      `NodeName=${node} NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${
        ports[i]
      } CPUs=4 RealMemory=1024 Gres=gpu:${gpus.length}`
    )
      .join("\n")
  }
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;
}

function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
