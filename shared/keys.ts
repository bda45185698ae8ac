import { z } from "zod";
import { LockstepError } from "./errors.ts";
import { isKey, type KeyPair, makeKeyPair, publicKeyOf } from "./zmq/curve.ts";

/** What a key may be used for: to lead a run, to join it, or to look at it and steer it. */
export const ROLES = ["coordinator", "worker", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** The roles that connect to a coordinator. */
export type MemberRole = Exclude<Role, "coordinator">;

const key = z.string().refine(isKey);
const pair = { public_key: key, secret_key: key };

const coordinatorSchema = z.strictObject({
  role: z.literal("coordinator"),
  ...pair,
  workers: z.array(key).max(4_096),
  admins: z.array(key).max(4_096),
});
const memberSchema = z.strictObject({
  role: z.enum(["worker", "admin"]),
  ...pair,
  coordinator: key,
});

/** The coordinator's keys, and the public keys that it admits. */
export interface CoordinatorKeys extends KeyPair {
  readonly role: "coordinator";
  readonly workers: readonly string[];
  readonly admins: readonly string[];
}

/** The keys of a worker or an admin, and the public key of the coordinator that it trusts. */
export interface MemberKeys extends KeyPair {
  readonly role: MemberRole;
  readonly coordinator: string;
}

export type Keys = CoordinatorKeys | MemberKeys;

/** All keys of one run. */
export interface RunKeys {
  readonly coordinator: CoordinatorKeys;
  readonly worker: MemberKeys;
  readonly admin: MemberKeys;
}

/** Makes new keys for a run. Throws E_ZMQ where libzmq cannot be loaded. */
export function makeRunKeys(): RunKeys {
  const [coordinator, worker, admin] = [makeKeyPair(), makeKeyPair(), makeKeyPair()];
  return {
    coordinator: {
      role: "coordinator",
      ...coordinator,
      workers: [worker.publicKey],
      admins: [admin.publicKey],
    },
    worker: { role: "worker", ...worker, coordinator: coordinator.publicKey },
    admin: { role: "admin", ...admin, coordinator: coordinator.publicKey },
  };
}

/** Keys as one line of JSON: for a file, or for the pipe through which a child gets its keys. It holds the secret key. */
export function encodeKeys(keys: Keys): string {
  const { role, publicKey: public_key, secretKey: secret_key } = keys;
  return JSON.stringify(
    keys.role === "coordinator"
      ? { role, public_key, secret_key, workers: keys.workers, admins: keys.admins }
      : { role, public_key, secret_key, coordinator: keys.coordinator },
  );
}

/**
 * Reads what `encodeKeys` wrote for a coordinator. Throws E_KEY, which repeats nothing of the text, where it is something
 * else or the pair does not belong together; `source` says where the text comes from.
 */
export function decodeCoordinatorKeys(text: string, source: string): CoordinatorKeys {
  const { public_key, secret_key, ...rest } = parse(text, { schema: coordinatorSchema, source });
  return { ...rest, ...checkPair({ publicKey: public_key, secretKey: secret_key }, source) };
}

/** As `decodeCoordinatorKeys`, for a worker or an admin. */
export function decodeMemberKeys(
  text: string,
  { role, source }: { role: MemberRole; source: string },
): MemberKeys {
  const { public_key, secret_key, ...rest } = parse(text, { schema: memberSchema, source });
  if (rest.role !== role) {
    throw new LockstepError(
      "E_KEY",
      `Cannot use the keys in ${source} as they are for the role ${rest.role}: those of the role ${role} are needed`,
    );
  }
  return { ...rest, ...checkPair({ publicKey: public_key, secretKey: secret_key }, source) };
}

function parse<T>(text: string, { schema, source }: { schema: z.ZodType<T>; source: string }): T {
  const parsed = schema.safeParse(json(text));
  if (parsed.success) return parsed.data;
  throw new LockstepError(
    "E_KEY",
    `Cannot use the keys in ${source} as they are not complete or not for this role: make them with lockstep keygen`,
  );
}

/** Undefined for a text that is no JSON: the parser's own message would repeat a part of it. */
function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checkPair(pair: KeyPair, source: string): KeyPair {
  if (publicKeyOf(pair.secretKey) === pair.publicKey) return pair;
  throw new LockstepError(
    "E_KEY",
    `Cannot use the keys in ${source} as the public key is not that of the secret key: make them with lockstep keygen`,
  );
}
