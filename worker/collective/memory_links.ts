import type { Bytes, Link, Links, Received } from "./link.ts";

/** Frames that may wait for one receiver from one sender. */
const CAPACITY = 8;

type Queue = [header: Bytes, payload: Bytes][];

/** Links between `memberCount` members of one thread, through queues. The links of rank r are element r. */
export function memoryLinks(memberCount: number): Links[] {
  const ranks = [...Array(memberCount).keys()];
  const queues: Queue[][] = ranks.map(() => ranks.map(() => []));
  const members = ranks.map((rank) => new MemoryLinks(rank, queues));
  for (const member of members) member.onSend = (peer) => members[peer].wake();
  return members;
}

class MemoryLinks implements Links {
  readonly byRank = new Map<number, Link>();
  onSend: (peer: number) => void = () => {};
  #wake = Promise.withResolvers<void>();

  constructor(rank: number, queues: Queue[][]) {
    for (let peer = 0; peer < queues.length; peer++) {
      if (peer === rank) continue;
      const [out, into] = [queues[rank][peer], queues[peer][rank]];
      this.byRank.set(peer, {
        trySend: (header, payload) => {
          if (out.length >= CAPACITY) return false;
          out.push([header.slice(), payload.slice()]);
          this.onSend(peer);
          return true;
        },
        tryReceive: (header, place) => {
          const message = into.shift();
          if (message === undefined) return null;
          this.onSend(peer); // there is room again
          return deliver(message, header, place);
        },
      });
    }
  }

  async wait(): Promise<void> {
    await this.#wake.promise;
    this.#wake = Promise.withResolvers<void>();
  }

  wake(): void {
    this.#wake.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function deliver(
  message: [Bytes, Bytes],
  header: Bytes,
  place: (headerBytes: number) => Bytes | null,
): Received {
  header.set(message[0].subarray(0, header.length));
  const view = place(message[0].length);
  view?.set(message[1].subarray(0, view.length));
  return { header: message[0].length, payload: message[1].length };
}
