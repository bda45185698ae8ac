import { stringify } from "yaml";
import { z } from "zod";
import { about, optional, text, truth, wholeNumber } from "../../shared/config/kinds.ts";
import { readOverrides } from "../../shared/config/overrides.ts";
import { LockstepError } from "../../shared/errors.ts";
import { encodeKeys, makeRunKeys } from "../../shared/keys.ts";
import {
  KEYS_FOLDER,
  type KeySecret,
  kubernetesManifests,
  RUNS_FOLDER,
} from "../launch/kubernetes_manifests.ts";
import { nodeRange } from "../launch/rendezvous.ts";
import { readRunKeys } from "../run_keys.ts";
import { defineCommand } from "./command.ts";
import { keyWord } from "./resolve_train_config.ts";
import { callSubmitter, type Launcher, submit, type TrainJob } from "./submit.ts";

/** Pods are called NAME-INDEX, which has at most 63 characters. */
const LONGEST_NAME = 57;

function name(what: string) {
  return z.string().regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/).max(LONGEST_NAME).describe(
    `${what}: lower-case letters, digits and dashes, at most ${LONGEST_NAME}`,
  );
}

function quantity(what: string) {
  return z.string().regex(/^\d+(\.\d+)?(m|k|[KMGT]i?)?$/).describe(`${what}, in Kubernetes's way`);
}

const options = {
  image: text("an image").default("lockstep:latest").register(about, {
    help: "What pods run, made with deploy/Dockerfile and pushed to where the cluster finds it",
  }),
  name: optional(name("a name")).default(null).register(about, {
    help: "The job's name; none is the preset's and five random characters",
  }),
  namespace: optional(name("a namespace")).default(null).register(about, {
    help: "Where it runs; none is kubectl's",
  }),
  nodes: optional(wholeNumber(1, 1_000)).default(null).register(about, {
    unit: "pods",
    help: "Pods, each a node of the run; none is as many as --nnodes",
  }),
  gpus_per_node: optional(wholeNumber(1)).default(null).register(about, {
    unit: "GPUs",
    help: "NVIDIA GPUs of each pod",
  }),
  cpus: optional(quantity("cores such as 4 or 500m")).default(null).register(about, {
    unit: "cores",
    help: "Cores of each pod",
  }),
  memory: optional(quantity("a size such as 16Gi")).default(null).register(about, {
    unit: "size",
    help: "Memory of each pod",
  }),
  pvc: optional(text("a PersistentVolumeClaim")).default(null).register(about, {
    help: "Where runs are kept; none makes a claim of the job's name",
  }),
  storage: quantity("a size such as 10Gi").default("10Gi").register(about, {
    unit: "size",
    help: "How large the claim is that is made",
  }),
  storage_class: optional(text("a StorageClass")).default(null).register(about, {
    help: "Of the claim that is made; with several nodes it must offer ReadWriteMany",
  }),
  secret: optional(text("a Secret")).default(null).register(about, {
    help:
      "One that holds coordinator.key, worker.key and admin.key; none makes one of --keys, or of new keys",
  }),
  queue_name: optional(text("a LocalQueue")).default(null).register(about, {
    help: "Kueue's queue, which decides when the job starts",
  }),
  service_account: optional(text("a ServiceAccount")).default(null).register(about, {
    help: "The pods' account; none is the namespace's default",
  }),
  active_deadline: optional(wholeNumber(1)).default(null).register(about, {
    unit: "seconds",
    help: "How long the job may take before Kubernetes ends it",
  }),
  backoff_limit: wholeNumber(0).default(6).register(about, {
    unit: "pods",
    help: "How many pods may be lost to something else than disruptions and exit status 75",
  }),
  dry_run: truth().default(false).register(about, {
    help: "Print what kubectl would be given, keys included, and submit nothing",
  }),
};

type Options = z.output<z.ZodObject<typeof options>>;

/** `submit kubernetes PRESET`: an Indexed Job for `train PRESET`, given to kubectl. */
export const command = defineCommand({
  summary: "Train on pods of a Kubernetes cluster",
  usage: "[PRESET|FILE.toml] --image=IMAGE [--nodes=2 …] [--key=value …]",
  options,
  config: ["data", "model", "optimizer", "run", "evaluation", "system", "launch"],
  example: "lockstep submit kubernetes sort-demo --image=registry.example/lockstep:0.1.0 --nodes=2 --cpus=4",
  run: ({ options, words }) => submit(words, { options, launcher: kubernetes }),
});

const kubernetes: Launcher<Options> = {
  async render(job, { dry_run: _, secret, ...asked }) {
    const nodes = nodesOf(job, asked.nodes);
    const name = asked.name ?? nameOf(job.preset);
    const manifests = kubernetesManifests({
      options: { ...asked, name, nodes, master_port: job.config.master_port },
      words: wordsOf(job, { name, nodes }),
      secret: job.config.insecure ? null : await keysOf(job, secret),
    });
    const texts = manifests.map((manifest) =>
      stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false })
    );
    return texts.join("---\n");
  },

  async submit(manifests) {
    const answer = await callSubmitter(["kubectl", "apply", "--filename=-"], {
      input: manifests,
      missing: "do this on a machine that has kubectl on its PATH and reaches the cluster",
    });
    const [, namespace] = /^ {2}namespace: (.+)$/m.exec(manifests) ?? [];
    const [, name] = /^ {2}name: (.+)$/m.exec(manifests) ?? [];
    const kubectl = namespace === undefined ? "kubectl" : `kubectl -n ${namespace}`;
    const pod = `-l batch.kubernetes.io/job-name=${name},batch.kubernetes.io/job-completion-index=0`;
    return [
      answer,
      `to look at it: ${kubectl} logs --follow ${pod}`,
      `to end it: ${kubectl} delete job,service,secret -l app.kubernetes.io/instance=${name}`,
    ].join("\n");
  },
};

/** Throws E_CONFIG where --nodes and --nnodes contradict. */
function nodesOf({ config, given }: TrainJob, asked: number | null): number {
  if (!given.has("nnodes")) return asked ?? 1;
  const { max } = nodeRange(config.nnodes);
  if (asked === null || asked === max) return max;
  throw new LockstepError(
    "E_CONFIG",
    `Cannot train on --nnodes=${config.nnodes} with ${asked} pods as each pod is a node: give --nodes=${max}, or leave ` +
      "it out",
  );
}

/** A preset's name as Kubernetes takes it, and something that no other run has. */
function nameOf(preset: string): string {
  const base = preset.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^[^a-z]+|-+$/g, "");
  return `${base.slice(0, LONGEST_NAME - 6) || "run"}-${crypto.randomUUID().slice(0, 5)}`;
}

/** Keys of the configuration that say what the manifests decide, and mean nothing in a pod. */
const DECIDED = new Set(["keys", "nnodes", "master_port"]);
/** Keys that must differ between pods, or that each pod's environment gives. */
const MEETING = new Set(["node_rank", "local_rank", "master_addr", "rdzv_endpoint", "standalone"]);

/** What `train` is called with in every pod: what was given, and what Kubernetes adds to it. */
function wordsOf(
  { words, config, given, preset }: TrainJob,
  { name, nodes }: { name: string; nodes: number },
): string[] {
  const { positionals, overrides } = readOverrides(words, Object.keys(options));
  const file = positionals.find((word) => word.endsWith(".toml"));
  if (file !== undefined) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot submit ${file} as pods do not have it: give a preset, and what the file sets as --key=value`,
    );
  }
  const foreign = overrides.find(({ name }) => MEETING.has(name));
  if (foreign !== undefined) {
    throw new LockstepError(
      "E_CONFIG",
      `Cannot submit ${foreign.words} as Kubernetes gives each pod its own: leave it out`,
    );
  }
  const added = {
    nnodes: given.has("nnodes") ? config.nnodes : String(nodes),
    ...(config.insecure ? {} : { keys: KEYS_FOLDER }),
    ...(given.has("out_dir") ? {} : { out_dir: `${RUNS_FOLDER}/${name}` }),
    ...(given.has("init_from") ? {} : { init_from: "auto" }),
    ...(given.has("rdzv_id") ? {} : { rdzv_id: name }),
  };
  return [
    ...(positionals.length > 0 ? positionals : [preset]),
    ...overrides.filter(({ name }) => !DECIDED.has(name)).map(({ name, value }) => keyWord(name, value)),
    ...Object.entries(added).map(([name, value]) => keyWord(name, value)),
  ];
}

/** A Secret that is there, else one of the keys that were given, else of new ones. */
async function keysOf({ config }: TrainJob, secret: string | null): Promise<KeySecret> {
  if (secret !== null) return { name: secret };
  const keys = config.keys === null ? makeRunKeys() : await readRunKeys(config.keys);
  return {
    files: {
      coordinator: encodeKeys(keys.coordinator),
      worker: encodeKeys(keys.worker),
      admin: encodeKeys(keys.admin),
    },
  };
}
