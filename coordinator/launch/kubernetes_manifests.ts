import { EXIT } from "../../shared/errors.ts";
import { keyFileName } from "../../shared/key_files.ts";
import { type Role, ROLES } from "../../shared/keys.ts";

/** What is asked of Kubernetes; null leaves it to the cluster. Amounts are quantities of Kubernetes, such as 4, 500m, 16Gi. */
export interface KubernetesOptions {
  /** Of the job, and of all that belongs to it. */
  readonly name: string;
  readonly namespace: string | null;
  readonly image: string;
  readonly nodes: number;
  readonly gpus_per_node: number | null;
  readonly cpus: string | null;
  readonly memory: string | null;
  /** An existing claim for the runs' directories; null makes one of the job's name. */
  readonly pvc: string | null;
  readonly storage: string;
  readonly storage_class: string | null;
  readonly queue_name: string | null;
  readonly service_account: string | null;
  /** In seconds. */
  readonly active_deadline: number | null;
  readonly backoff_limit: number;
  readonly master_port: number;
}

/** The Secret with a run's keys: one that is there, or one that is made of them (each role's file, as text). */
export type KeySecret =
  | { readonly name: string }
  | { readonly files: Readonly<Record<Role, string>> };

/** A run that Kubernetes is to start. */
export interface KubernetesJob {
  readonly options: KubernetesOptions;
  /** What `train` is called with in every pod. */
  readonly words: readonly string[];
  /** Null for a run without keys. */
  readonly secret: KeySecret | null;
}

/** One object of Kubernetes, as its API takes it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** Where pods have the volume with the runs' directories. They run there: paths are relative to it. */
export const RUNS_FOLDER = "/runs";
/** Where pods have the files of keys that are theirs. */
export const KEYS_FOLDER = "/etc/lockstep/keys";
/** Where a pod's process shows that it lives. */
const ALIVE_FILE = "/tmp/lockstep-alive";
/** The user and the group of pods; the image has no other. */
const USER = 1_000;
/** How long a pod that is stopped may take to finish its step and to save, in seconds. */
const GRACE_S = 120;

/**
 * The objects of a run: its keys, a name for each pod, a place for its directory, and an Indexed Job whose pods are its nodes.
 * Pod 0 coordinates. Whichever pod is lost is made again under the same index, and the run goes on.
 */
export function kubernetesManifests(job: KubernetesJob): Manifest[] {
  const { options, secret } = job;
  const parts = [
    ...(secret !== null && "files" in secret ? [secretOf(secret.files)] : []),
    serviceOf(options),
    ...(options.pvc === null ? [claimOf(options)] : []),
    jobOf(job),
  ];
  return parts.map(({ apiVersion, kind, labels = {}, ...fields }) => ({
    apiVersion,
    kind,
    metadata: {
      name: options.name,
      namespace: options.namespace ?? undefined,
      labels: { ...labelsOf(options), ...labels },
    },
    ...fields,
  }));
}

/** An object before it has its name. */
interface Part {
  readonly apiVersion: string;
  readonly kind: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

function labelsOf({ name }: KubernetesOptions): Record<string, string> {
  return { "app.kubernetes.io/name": "lockstep", "app.kubernetes.io/instance": name };
}

/** Immutable: other keys under a run that goes on would part its pods. */
function secretOf(files: Readonly<Record<Role, string>>): Part {
  const stringData = Object.fromEntries(ROLES.map((role) => [keyFileName(role), files[role]]));
  return { apiVersion: "v1", kind: "Secret", type: "Opaque", immutable: true, stringData };
}

/** Headless: gives pod i the name JOB-i.JOB, from its first moment on. */
function serviceOf(options: KubernetesOptions): Part {
  return {
    apiVersion: "v1",
    kind: "Service",
    spec: {
      clusterIP: "None",
      publishNotReadyAddresses: true,
      selector: labelsOf(options),
      ports: [{ name: "rendezvous", port: options.master_port }],
    },
  };
}

/** All pods mount it, though only pod 0 writes there: on several machines it has to allow that. */
function claimOf({ nodes, storage, storage_class }: KubernetesOptions): Part {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    spec: {
      accessModes: [nodes > 1 ? "ReadWriteMany" : "ReadWriteOnce"],
      storageClassName: storage_class ?? undefined,
      resources: { requests: { storage } },
    },
  };
}

function jobOf(job: KubernetesJob): Part {
  const { nodes, queue_name, active_deadline, backoff_limit } = job.options;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    labels: queue_name === null ? {} : { "kueue.x-k8s.io/queue-name": queue_name },
    spec: {
      completionMode: "Indexed",
      completions: nodes,
      parallelism: nodes,
      backoffLimit: backoff_limit,
      activeDeadlineSeconds: active_deadline ?? undefined,
      suspend: queue_name === null ? undefined : true, // Kueue starts it
      // The run is over when its coordinator says so, also for a pod that found no place.
      successPolicy: { rules: [{ succeededIndexes: "0" }] },
      podFailurePolicy: { rules: FAILURE_RULES },
      template: { metadata: { labels: labelsOf(job.options) }, spec: podOf(job) },
    },
  };
}

/** The first that fits counts; any other end, such as SIGKILL for want of memory, is made good `backoffLimit` times. */
const FAILURE_RULES = [
  { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
  { action: "Ignore", onExitCodes: exitCodes(EXIT.tryAgain, EXIT.interrupted) },
  { action: "FailJob", onExitCodes: exitCodes(EXIT.failure, EXIT.usage) },
];

function exitCodes(...values: number[]) {
  return { containerName: "train", operator: "In", values };
}

function podOf(job: KubernetesJob): Record<string, unknown> {
  const { options, secret } = job;
  const claimName = options.pvc ?? options.name;
  return {
    subdomain: options.name,
    restartPolicy: "Never",
    serviceAccountName: options.service_account ?? undefined,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: GRACE_S,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [containerOf(job)],
    volumes: [
      { name: "runs", persistentVolumeClaim: { claimName } },
      ...(secret === null ? [] : [keyVolume(secret, options)]),
    ],
  };
}

function containerOf({ options, words, secret }: KubernetesJob): Record<string, unknown> {
  const { name, image, master_port } = options;
  const resources = resourcesOf(options);
  const probe = { exec: { command: ["lockstep", "doctor", "--alive"] }, timeoutSeconds: 10 };
  return {
    name: "train",
    image,
    // Kubernetes puts variables in the place of $(NAME).
    command: ["lockstep", "train", ...words].map((word) => word.replaceAll("$(", () => "$$(")),
    workingDir: RUNS_FOLDER,
    env: [
      { name: "NODE_RANK", valueFrom: { fieldRef: { fieldPath: COMPLETION_INDEX } } },
      { name: "MASTER_ADDR", value: `${name}-0.${name}` },
      { name: "MASTER_PORT", value: String(master_port) },
      { name: "LOCKSTEP_ALIVE_FILE", value: ALIVE_FILE },
    ],
    ports: [{ name: "rendezvous", containerPort: master_port }],
    resources: resources === null ? undefined : { requests: resources, limits: resources },
    // Before a run begins its data are prepared.
    startupProbe: { ...probe, periodSeconds: 10, failureThreshold: 60 },
    livenessProbe: { ...probe, periodSeconds: 30, failureThreshold: 3 },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
    volumeMounts: [
      { name: "runs", mountPath: RUNS_FOLDER },
      ...(secret === null
        ? []
        : [{ name: "keys", mountPath: KEYS_FOLDER, subPathExpr: "$(NODE_RANK)", readOnly: true }]),
    ],
  };
}

const COMPLETION_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']";

function resourcesOf(
  { cpus, memory, gpus_per_node }: KubernetesOptions,
): Record<string, string> | null {
  const asked = {
    ...(cpus === null ? {} : { cpu: cpus }),
    ...(memory === null ? {} : { memory }),
    ...(gpus_per_node === null ? {} : { "nvidia.com/gpu": String(gpus_per_node) }),
  };
  return Object.keys(asked).length === 0 ? null : asked;
}

/** A folder for each pod, of which it mounts its own: pod 0 has all keys, the others the worker's alone. */
function keyVolume(secret: KeySecret, { name, nodes }: KubernetesOptions): Record<string, unknown> {
  const itemsOf = (pod: number) =>
    (pod === 0 ? ROLES : ["worker" as const]).map(keyFileName).map((key) => ({ key, path: `${pod}/${key}` }));
  return {
    name: "keys",
    secret: {
      secretName: "name" in secret ? secret.name : name,
      defaultMode: 0o400, // with fsGroup Kubernetes adds the group: root's files, mode 0440
      items: Array.from({ length: nodes }, (_, pod) => itemsOf(pod)).flat(),
    },
  };
}
