/**
 * Pods of an Indexed Job on this machine, each a namespace of network, host name, processes and files: what a kubelet makes of
 * a manifest, as far as a run can see it. Needs root.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { Network } from "../../coordinator/chaos/network.ts";
import { Program } from "../integration/support.ts";

const volume = z.looseObject({
  name: z.string(),
  secret: z.object({
    secretName: z.string(),
    defaultMode: z.literal(0o400),
    items: z.array(z.object({ key: z.string(), path: z.string() })),
  }).optional(),
});

const container = z.looseObject({
  command: z.array(z.string()),
  workingDir: z.string(),
  env: z.array(z.object({
    name: z.string(),
    value: z.string().optional(),
    valueFrom: z.object({
      fieldRef: z.object({
        fieldPath: z.literal("metadata.annotations['batch.kubernetes.io/job-completion-index']"),
      }),
    }).optional(),
  })),
  livenessProbe: z.looseObject({ exec: z.object({ command: z.array(z.string()) }) }),
  volumeMounts: z.array(
    z.looseObject({ name: z.string(), mountPath: z.string(), subPathExpr: z.string().optional() }),
  ),
});

const pod = z.looseObject({
  subdomain: z.string(),
  securityContext: z.looseObject({ runAsUser: z.int(), runAsGroup: z.int(), fsGroup: z.int() }),
  containers: z.tuple([container]),
  volumes: z.array(volume),
});

const job = z.looseObject({
  kind: z.literal("Job"),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({ completions: z.int(), template: z.looseObject({ spec: pod }) }),
});
const secret = z.looseObject({ kind: z.literal("Secret"), stringData: z.record(z.string(), z.string()) });

const SOURCES = fileURLToPath(new URL("../..", import.meta.url));
/** Folders of this machine that stand for those of the image. */
const OF_THE_MACHINE = ["usr", "bin", "sbin", "lib", "lib64"];

/** What the image holds besides, by its place in it. */
interface Image {
  readonly deno: string;
  readonly cache: string;
}

const MOUNT = `set -e
root=$1 keys=$2 runs=$3 deno=$4 cache=$5 sources=$6 hosts=$7 name=$8
shift 8
hostname "$name"
for folder in ${OF_THE_MACHINE.join(" ")}; do
  if [ -d "$root/$folder" ] && [ ! -L "$root/$folder" ]; then mount --bind "/$folder" "$root/$folder"; fi
done
mount --bind "$deno" "$root/opt/deno"
mount --bind "$cache" "$root/opt/cache"
mount --bind "$sources" "$root/opt/lockstep"
mount --bind "$runs" "$root/runs"
mount --bind "$keys" "$root/etc/lockstep/keys"
mount --bind "$hosts" "$root/etc/hosts"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec "$@"`;

/** A Job's pods, and the machine that is their cluster. */
export class Cluster implements AsyncDisposable {
  /** With where each has its files. */
  readonly #pods = new Map<Program, string>();
  readonly #addresses = new Map<number, string>();
  readonly #job: z.output<typeof job>;
  readonly #secret: z.output<typeof secret>;
  #made = 0;

  private constructor(
    private readonly dir: string,
    private readonly network: Network,
    private readonly image: Image,
    manifests: string,
  ) {
    const documents = parseAllDocuments(manifests).map((document): unknown => document.toJS());
    this.#job = job.parse(documents.find((one) => job.safeParse(one).success));
    this.#secret = secret.parse(documents.find((one) => secret.safeParse(one).success));
  }

  /** A cluster in the folder `dir`, for the Job and the Secret of `manifests`. */
  static async make(dir: string, manifests: string): Promise<Cluster> {
    const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
    const { denoDir } = z.object({ denoDir: z.string() }).parse(
      JSON.parse(new TextDecoder().decode(info.stdout)),
    );
    const network = await Network.make(3);
    const cluster = new Cluster(dir, network, { deno: dirname(Deno.execPath()), cache: denoDir }, manifests);
    try {
      await cluster.#build();
      return cluster;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The folder that stands for the volume. */
  get runs(): string {
    return join(this.dir, "runs");
  }

  /** Makes the pod of an index, as the Job's controller does: with an address that no pod before it had. */
  async start(index: number): Promise<Program> {
    const { metadata: { name }, spec: { template: { spec } } } = this.#job;
    const [{ command }] = spec.containers;
    const root = await this.#root(index);
    await this.#address(index);
    const through = [
      ...this.network.on(index),
      ...["unshare", "--mount", "--uts", "--pid", "--fork", "sh", "-c", MOUNT, "pod"],
      ...[root, this.#keys(index), this.runs, this.image.deno, this.image.cache, SOURCES],
      ...[join(this.dir, "hosts"), `${name}-${index}`],
    ];
    const child = new Deno.Command(through[0], {
      args: [...through.slice(1), ...this.#inside(root), ...command],
      clearEnv: true,
      env: this.#environment(index),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const program = new Program(child, 90_000);
    this.#pods.set(program, root);
    return program;
  }

  /** Runs the liveness probe in a pod, and resolves to its exit status. */
  async probe(index: number, program: Program): Promise<number> {
    const [{ livenessProbe: { exec: { command } } }] = this.#job.spec.template.spec.containers;
    const { code } = await new Deno.Command("nsenter", {
      args: [
        ...[`--target=${firstProcess(program)}`, "--mount", "--pid", "--net", "--uts"],
        ...this.#inside(this.#pods.get(program) ?? ""),
        ...command,
      ],
      clearEnv: true,
      env: this.#environment(index),
      stdout: "null",
    }).output();
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#pods.keys()) end(program, "SIGKILL");
    await Promise.allSettled([...this.#pods.keys()].map(({ ended }) => ended));
    await this.network[Symbol.asyncDispose]();
  }

  async #build(): Promise<void> {
    const { runAsUser, fsGroup } = this.#job.spec.template.spec.securityContext;
    await Deno.mkdir(this.runs);
    await Deno.chown(this.runs, runAsUser, fsGroup);
    await Deno.mkdir(join(this.dir, "secret", "..first"), { recursive: true });
    await Deno.symlink("..first", join(this.dir, "secret", "..data"));
    for (const { key, path } of this.#keyVolume().items) {
      await this.#writeKey(path, this.#secret.stringData[key]);
    }
  }

  #keyVolume() {
    const found = this.#job.spec.template.spec.volumes.flatMap(({ secret }) => secret ?? []);
    assert.equal(found.length, 1);
    return found[0];
  }

  /** As the kubelet does: root's, mode 0400 and with fsGroup 0440; the folder at the top is a link into a hidden one. */
  async #writeKey(path: string, text: string): Promise<void> {
    const { fsGroup } = this.#job.spec.template.spec.securityContext;
    const [folder, name] = path.split("/");
    const hidden = join(this.dir, "secret", "..data", folder);
    await Deno.mkdir(hidden, { recursive: true });
    await Deno.writeTextFile(join(hidden, name), text, { mode: 0o440 });
    await Deno.chmod(join(hidden, name), 0o440);
    await Deno.chown(join(hidden, name), 0, fsGroup);
    await Deno.symlink(join("..data", folder), join(this.dir, "secret", folder)).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  }

  /** What the container mounts at its own subPath. */
  #keys(index: number): string {
    const [{ volumeMounts }] = this.#job.spec.template.spec.containers;
    const { subPathExpr = "" } = volumeMounts.find(({ name }) => name === "keys") ?? {};
    const folder = subPathExpr.replace(/\$\((\w+)\)/g, (_, name) => this.#environment(index)[name]);
    return Deno.realPathSync(join(this.dir, "secret", folder));
  }

  #environment(index: number): Record<string, string> {
    const [{ env }] = this.#job.spec.template.spec.containers;
    return {
      ...{
        PATH: "/opt/bin:/opt/deno:/usr/bin:/bin:/usr/sbin",
        HOME: "/home/lockstep",
        DENO_DIR: "/opt/cache",
        NO_COLOR: "1",
      },
      JOB_COMPLETION_INDEX: String(index),
      ...Object.fromEntries(env.map(({ name, value }) => [name, value ?? String(index)])),
    };
  }

  /** The command's place: in the pod's own files, as the pod's user, without rights to become another. */
  #inside(root: string): string[] {
    const { spec } = this.#job.spec.template;
    const { runAsUser, runAsGroup, fsGroup } = spec.securityContext;
    const [{ workingDir }] = spec.containers;
    return [
      ...["chroot", root, "setpriv", `--reuid=${runAsUser}`, `--regid=${runAsGroup}`, `--groups=${fsGroup}`],
      ...["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"],
      ...["sh", "-c", 'cd "$0" && exec "$@"', workingDir],
    ];
  }

  /** A pod's own files; those of a pod that is gone are gone. */
  async #root(index: number): Promise<string> {
    const root = join(this.dir, `pod-${index}-${this.#made}`);
    const { runAsUser } = this.#job.spec.template.spec.securityContext;
    for (
      const folder of [
        "opt/deno",
        "opt/cache",
        "opt/lockstep",
        "opt/bin",
        "etc/lockstep/keys",
        "runs",
        "dev",
        "proc",
      ]
    ) {
      await Deno.mkdir(join(root, folder), { recursive: true });
    }
    for (const folder of ["tmp", "home/lockstep"]) {
      await Deno.mkdir(join(root, folder), { recursive: true });
      await Deno.chown(join(root, folder), runAsUser, runAsUser);
    }
    for (const folder of OF_THE_MACHINE) {
      const { isSymlink } = await Deno.lstat(`/${folder}`);
      if (isSymlink) await Deno.symlink(await Deno.readLink(`/${folder}`), join(root, folder));
      else await Deno.mkdir(join(root, folder));
    }
    await Deno.writeTextFile(join(root, "etc/hosts"), "");
    await Deno.writeTextFile(join(root, "etc/nsswitch.conf"), "hosts: files\n");
    await Deno.symlink("/opt/lockstep/deploy/lockstep.sh", join(root, "opt/bin/lockstep"));
    return root;
  }

  /** The network's name server: pod i of the headless Service is JOB-i.JOB, wherever it is now. */
  async #address(index: number): Promise<void> {
    const { metadata: { name }, spec: { template: { spec } } } = this.#job;
    const address = `10.77.0.${100 + this.#made++}`;
    await this.#ip(index, ["addr", "flush", "dev", "eth0"]);
    await this.#ip(index, ["addr", "add", `${address}/24`, "dev", "eth0"]);
    this.#addresses.set(index, address);
    const lines = [...this.#addresses].map(([i, at]) =>
      `${at} ${name}-${i}.${spec.subdomain} ${name}-${i}\n`
    );
    await Deno.writeTextFile(join(this.dir, "hosts"), ["127.0.0.1 localhost\n", ...lines].join(""));
  }

  async #ip(index: number, words: string[]): Promise<void> {
    const [command, ...args] = [...this.network.on(index), "ip", ...words];
    assert.ok((await new Deno.Command(command, { args }).output()).success, words.join(" "));
  }
}

/** Ends a pod's first process, and with SIGKILL all others of it at once. */
export function end(program: Program, signal: "SIGKILL" | "SIGTERM"): void {
  const first = firstProcess(program);
  if (first !== undefined) Deno.kill(first, signal);
}

/** `unshare` waits outside for the first process of the pod. */
function firstProcess(program: Program): number | undefined {
  return program.children().at(0);
}
