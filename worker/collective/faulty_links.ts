import type { Faults, FrameAction } from "../../shared/faults.ts";
import { decodeHeader, NONCE_BYTES } from "./codec.ts";
import type { Bytes, Link, Links } from "./link.ts";

/** Longer than any frame that may be. */
const TOO_LONG = 32 << 20;

/**
 * Links that do to frames, or to this process between two frames, what is planned for the point "frame"; to frames of a step
 * that is made again, what is planned for "again".
 */
export function faultyLinks(links: Links, faults: Faults): Links {
  const byRank = new Map([...links.byRank].map(([peer, link]) => [peer, faultyLink(link, faults)]));
  return {
    byRank,
    wait: (interest) => links.wait(interest),
    waitBriefly: links.waitBriefly === undefined
      ? undefined
      : (interest, ms) => links.waitBriefly?.(interest, ms) ?? false,
    wake: () => links.wake(),
    close: () => links.close(),
  };
}

function faultyLink(link: Link, faults: Faults): Link {
  let due: FrameAction | null = null; // until the peer has taken it
  return {
    get lane() {
      return link.lane;
    },
    trySend(header, payload) {
      const { step, attempt } = decodeHeader(header);
      due ??= faults.claim(attempt === 0 ? "frame" : "again", step);
      if (!sendWith(due, { link, header, payload })) return false;
      due = null;
      faults.reach("frame", step);
      return true;
    },
    tryReceive: (header, place) => link.tryReceive(header, place),
  };
}

function sendWith(
  action: FrameAction | null,
  { link, header, payload }: { link: Link; header: Bytes; payload: Bytes },
): boolean {
  switch (action) {
    case null:
      return link.trySend(header, payload);
    case "flip":
      return link.trySend(header, flipped(payload));
    case "cut":
      return link.trySend(header, payload.slice(0, payload.length >> 1));
    case "grow":
      return link.trySend(header, new Uint8Array(TOO_LONG));
    case "old":
    case "foreign":
      return link.trySend(otherNonce(header), payload) && link.trySend(header, payload);
  }
}

function flipped(payload: Bytes): Bytes {
  const copy = payload.slice();
  copy[copy.length >> 1] ^= 1;
  return copy;
}

/** A header of another generation, or another run's: what tells them apart is the nonce. */
function otherNonce(header: Bytes): Bytes {
  const copy = header.slice();
  crypto.getRandomValues(copy.subarray(0, NONCE_BYTES));
  return copy;
}
