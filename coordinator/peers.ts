import { LockstepError } from "../shared/errors.ts";
import type { MemberRole } from "../shared/keys.ts";
import { HANDSHAKE_MS } from "../shared/protocol/control_socket.ts";
import { memberIdOf } from "../shared/protocol/routing_id.ts";
import type { MessageSource } from "../shared/zmq/socket.ts";
import type { ZapRequest } from "../shared/zmq/zap.ts";

/** Who sent a message. */
export interface Sender {
  readonly id: string;
  readonly role: MemberRole | "local";
  readonly address: string | null;
  /** Whether another process had the id before, and nobody was told yet that it is gone. */
  readonly replaces: boolean;
}

/** What is known of a member's id. */
interface Peer {
  routingId: string;
  /** The key that said the id first; null without keys. It is refused to all others. */
  readonly publicKey: string | null;
  /** Connections are counted as they are admitted. */
  connection: number;
  descriptor: number;
  isConnected: boolean;
}

/** What a connection was admitted as. */
interface Admission {
  connection: number;
  role: MemberRole | "local";
  publicKey: string | null;
}

const MOST_PEERS = 4_096;
/** Connections that have said nothing yet. A member says who it is at once, so the oldest of more are strangers'. */
const MOST_SILENT = 256;
const IP_ADDRESS = /^[0-9a-fA-F.:%]+$/;

/**
 * Who is connected to a control server: which keys may connect, whose connection a message came over, which ids are
 * taken, and whose connection has ended. Nothing here touches a socket.
 */
export class Peers {
  readonly #peers = new Map<string, Peer>();
  readonly #roles: Map<string, MemberRole> | null;
  /** Descriptors of connections that have not ended. */
  readonly #open = new Set<number>();
  /** Of those, the ones that may have proved nothing yet, oldest first, and when they came in. */
  readonly #silent = new Map<number, number>();
  /** Ids whose connection has ended and of whom nobody was told yet. */
  readonly #gone = new Set<string>();
  #admitted = 0;

  /** `keys`: the role of each public key that may connect; null admits this user's processes, or anybody over tcp. */
  constructor({ keys }: { keys: ReadonlyMap<string, MemberRole> | null }) {
    this.#roles = keys === null ? null : new Map(keys);
  }

  allow(publicKey: string, role: MemberRole): void {
    this.#roles?.set(publicKey, role);
  }

  deny(publicKey: string): void {
    this.#roles?.delete(publicKey);
  }

  /** The user id of a connection that may speak, null for one that may not; see `ZapHandler`. */
  admit({ publicKey, address }: ZapRequest): string | null {
    const role = this.#roleOf({ publicKey, address });
    if (role === null) return null;
    const connection = ++this.#admitted;
    return `${connection} ${role} ${publicKey ?? ""}`;
  }

  #roleOf({ publicKey, address }: Pick<ZapRequest, "publicKey" | "address">): Sender["role"] | null {
    if (this.#roles !== null) return this.#roles.get(publicKey ?? "") ?? null;
    if (publicKey !== null) return null;
    const [, uid] = /:(\d+):\d+:\d+$/.exec(address) ?? []; // only ipc tells
    return uid === undefined || Number(uid) === Deno.uid() || uid === "0" ? "local" : null;
  }

  /** A connection came in, at `now` in ms. Those of strangers that are too many by now, for the caller to end. */
  opened(descriptor: number, now: number): number[] {
    this.#open.add(descriptor);
    this.#silent.set(descriptor, now);
    const excess: number[] = [];
    for (const [oldest, since] of this.#silent) {
      const isProved = now - since > 2 * HANDSHAKE_MS; // else libzmq would have ended it
      if (!isProved && this.#silent.size <= MOST_SILENT) break;
      this.#silent.delete(oldest);
      if (!isProved) excess.push(oldest);
    }
    return excess;
  }

  /** A connection ended; true if it was a stranger's, as far as it has said nothing. */
  ended(descriptor: number): boolean {
    this.#open.delete(descriptor);
    for (const [id, peer] of this.#peers) {
      if (peer.isConnected && peer.descriptor === descriptor) this.#disconnect(id, peer);
    }
    return this.#silent.delete(descriptor);
  }

  #disconnect(id: string, peer: Peer): void {
    peer.isConnected = false;
    this.#gone.add(id);
  }

  /** Whose connection has ended since the last call, and who has not come back. */
  takeGone(): string[] {
    const ids = [...this.#gone];
    this.#gone.clear();
    return ids;
  }

  /**
   * Who sent a message, by the name on it and the connection that brought it; all events of connections so far must have
   * been told. Throws E_DECODE for a name that is none, E_KEY for a key that was taken back, E_DUPLICATE_ID for an id
   * that belongs to a process that is connected or to another key, E_TOO_LARGE beyond 4,096 ids.
   */
  identify(routingId: string, source: MessageSource): Sender {
    this.#silent.delete(source.descriptor);
    const id = memberIdOf(routingId);
    const admission = readUserId(source.userId);
    if (id === null || admission === null) {
      throw new LockstepError(
        "E_DECODE",
        `Cannot take a message from "${routingId.slice(0, 40)}" as that is no id of a member`,
      );
    }
    const { publicKey, role } = admission;
    if (publicKey !== null && this.#roles?.get(publicKey) !== role) {
      throw new LockstepError(
        "E_KEY",
        `Cannot take a message from ${id} as its key is not admitted any more`,
      );
    }
    const replaces = this.#claim(id, { routingId, admission, descriptor: source.descriptor });
    const address = source.address !== null && IP_ADDRESS.test(source.address) ? source.address : null;
    return { id, role, address, replaces };
  }

  /** Notes that a process speaks as `id`; true if it takes the place of one of which nobody knows yet that it is gone. */
  #claim(
    id: string,
    { routingId, admission: { connection, publicKey }, descriptor }: {
      routingId: string;
      admission: Admission;
      descriptor: number;
    },
  ): boolean {
    const known = this.#peers.get(id);
    const isSame = known?.routingId === routingId;
    if (known !== undefined && (known.publicKey !== publicKey || (known.isConnected && !isSame))) {
      const owner = known.publicKey === publicKey ? "another process" : "another key";
      throw new LockstepError(
        "E_DUPLICATE_ID",
        `Cannot join as ${id} as ${owner} has that name in this run: choose another --id`,
      );
    }
    if (isSame && connection <= known.connection) return false;
    if (known === undefined) this.#makeRoom();
    const replaces = !isSame && this.#gone.has(id);
    this.#gone.delete(id);
    const peer = { routingId, publicKey, connection, descriptor, isConnected: true };
    this.#peers.set(id, peer);
    const isKnown = descriptor >= 0; // not every system tells
    if (isKnown && !this.#open.has(descriptor)) this.#disconnect(id, peer); // it had sent this before it ended
    return replaces;
  }

  /** Forgets the member that has been away longest where there are too many. */
  #makeRoom(): void {
    if (this.#peers.size < MOST_PEERS) return;
    const away = [...this.#peers].find(([id, peer]) => !peer.isConnected && !this.#gone.has(id));
    if (away === undefined) {
      throw new LockstepError("E_TOO_LARGE", `Cannot serve more than ${MOST_PEERS} members`);
    }
    this.#peers.delete(away[0]);
  }

  /** The name by which a member is reached; undefined for one that was never heard of. */
  routingIdOf(id: string): string | undefined {
    return this.#peers.get(id)?.routingId;
  }

  /** The connections of the members that `matches` picks. */
  descriptorsOf(matches: (peer: { id: string; publicKey: string | null }) => boolean): number[] {
    const connected = [...this.#peers].filter(([id, { isConnected, publicKey }]) =>
      isConnected && matches({ id, publicKey })
    );
    return connected.map(([, { descriptor }]) => descriptor);
  }

  isOpen(descriptor: number): boolean {
    return this.#open.has(descriptor);
  }
}

const USER_ID = /^(\d+) (worker|admin|local) (\S*)$/;

function readUserId(userId: string | null): Admission | null {
  const [, connection, role, publicKey] = USER_ID.exec(userId ?? "") ?? [];
  if (role !== "worker" && role !== "admin" && role !== "local") return null;
  return { connection: Number(connection), role, publicKey: publicKey === "" ? null : publicKey };
}
