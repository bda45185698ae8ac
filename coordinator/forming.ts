import type { RunConfig } from "../shared/config/run_config.ts";
import { LockstepError } from "../shared/errors.ts";
import type { ParameterShape, Snapshot } from "./checkpoints.ts";
import type { Members } from "./members.ts";

/** The first epoch and generation: members neither change nor restart yet. */
export const FIRST = { epoch: 0, generation: 0 } as const;

/** What a member says of its computation; the same for all. */
export interface MemberInfo {
  readonly engine: string;
  readonly device: string;
  readonly parameters: readonly ParameterShape[];
  /** Elements of all parameters. */
  readonly size: number;
  readonly sliceRows: number;
  readonly flopsPerToken: number;
  readonly modelSource: string;
  readonly engineSource: string | null;
  readonly data: Readonly<Record<string, string>>;
  /** SHA-256 of the compiled step; null for an engine that runs it op by op, and where no step is computed. */
  readonly graph: string | null;
}

export interface FormingOptions {
  readonly config: RunConfig;
  readonly configHash: string;
  /** By rank: the virtual shards of each member; all empty for members that only evaluate. */
  readonly shards: number[][];
  /** The state to start from; null starts anew. */
  readonly snapshot: Snapshot | null;
}

/** Members that are ready, with one state. */
export interface Formed {
  readonly info: MemberInfo;
  readonly stateHash: string;
}

/** Pieces of a snapshot are this long, in bytes. */
const CHUNK_BYTES = 4 << 20;

/** FORMING: every member says HELLO, gets its place and its start, and answers READY with the same state. */
export async function formMembers(members: Members, options: FormingOptions): Promise<Formed> {
  const { config, configHash, shards, snapshot } = options;
  const hellos = await members.gather("HELLO");
  const nonce = crypto.getRandomValues(new Uint8Array(16));
  const roster = hellos.map(({ id, endpoint }, rank) => ({ id, rank, endpoint }));
  const step = snapshot?.step ?? 0;
  const start = { step, source: snapshot === null ? "init" as const : "sync" as const };
  for (const [rank, id] of members.ids.entries()) {
    const place = { rank, worldSize: members.size, members: roster, shards };
    members.send(id, { type: "ROSTER", ...FIRST, nonce, ...place, config: { ...config }, configHash, start });
  }
  const ready = await (snapshot === null ? members.gather("READY") : feed(members, snapshot));
  const stateHash = sameOf(ready.map((r) => r.stateHash), { what: "the state", step });
  const infos = ready.map(({ info }) => JSON.stringify(info));
  return { info: JSON.parse(sameOf(infos, { what: "what they compute", step })), stateHash };
}

/** Offers the state, hands its pieces to whoever asks, and gathers READY. */
function feed(members: Members, { step, stateHash, bytes }: Snapshot) {
  members.broadcast({
    type: "SYNC_OFFER",
    ...FIRST,
    step,
    bytes: bytes.length,
    stateHash,
    chunkBytes: CHUNK_BYTES,
  });
  return members.gather("READY", ({ from, message }) => {
    if (message.type !== "SYNC_GET") {
      throw new LockstepError("E_DECODE", `${from} sent ${message.type} while members take their start`);
    }
    const { index } = message;
    const piece = bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    members.send(from, { type: "SYNC_DATA", ...FIRST, step, index, bytes: piece });
  });
}

/** The one value that all members report, by rank. Different ones are an E_DIVERGED that names the ranks. */
export function sameOf(values: readonly string[], { what, step }: { what: string; step: number }): string {
  const other = values.findIndex((value) => value !== values[0]);
  if (other < 0) return values[0];
  throw new LockstepError(
    "E_DIVERGED",
    `Members do not agree on ${what} at step ${step}: rank ${other} differs from rank 0`,
  );
}
