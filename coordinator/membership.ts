/** Someone who has said HELLO. */
export interface Candidate {
  readonly id: string;
  /** Model, data and program are there. */
  readonly loaded: boolean;
  /** When it was heard last, in ms. */
  readonly heardAt: number;
  readonly suspected: boolean;
  /** In the coordinator's own process: it can't be silent or gone without the run. */
  readonly inProcess: boolean;
}

/** All that decisions about membership depend on. */
export interface Membership {
  readonly candidates: ReadonlyMap<string, Candidate>;
  /** When members were evicted that were not gone, by id, in ms. */
  readonly evictions: ReadonlyMap<string, readonly number[]>;
  readonly tickedAt: number;
}

/** What happened. */
export type MembershipEvent =
  | { readonly type: "joined"; readonly id: string; readonly inProcess: boolean }
  | { readonly type: "loaded"; readonly id: string }
  | { readonly type: "heard"; readonly id: string }
  /** Its process or its connection has ended. */
  | { readonly type: "gone"; readonly id: string; readonly how: string }
  | { readonly type: "left"; readonly id: string; readonly why: string }
  /** It is there and must go: it holds the others up, sends what must not be, or somebody said so. */
  | { readonly type: "accused"; readonly id: string; readonly why: string }
  | { readonly type: "tick" };

/** What is to be done. */
export type MembershipAction =
  /** Ends its session: what it still sends is answered with E_STALE. */
  | { readonly type: "evict"; readonly id: string }
  /** It may be a member from the next boundary on. */
  | { readonly type: "welcome"; readonly id: string }
  | { readonly type: "suspect"; readonly id: string }
  | { readonly type: "trust"; readonly id: string };

/** A decision, and why. */
export interface Decision {
  readonly membership: Membership;
  readonly actions: readonly MembershipAction[];
  /** A sentence for the log; empty where nothing was decided. */
  readonly reason: string;
}

/** Ticks come this often. */
export const TICK_MS = 250;
const SUSPECT_MS = 3_000;
const DEAD_MS = 10_000;
/** While it loads, a worker's threads are busy, also with each other's packages. */
const LOADING_DEAD_MS = 60_000;
/** A coordinator that was stopped for longer judges nobody by the time that it has missed. */
const OWN_PAUSE_MS = 1_000;
const MEMORY_MS = 600_000;
const READMISSION_MS = 5_000;

/** No members yet. */
export function noMembers(now: number): Membership {
  return { candidates: new Map(), evictions: new Map(), tickedAt: now };
}

/** Decides what an event means for who belongs. Pure: the same event in the same state is the same decision. */
export function decide(now: number, membership: Membership, event: MembershipEvent): Decision {
  switch (event.type) {
    case "joined": {
      const { id, inProcess } = event;
      const joined = { id, inProcess, loaded: false, heardAt: now, suspected: false };
      return decided(withCandidate(membership, joined), [], `${id} joined`);
    }
    case "loaded":
      return change(membership, event.id, (candidate) => ({
        candidate: { ...candidate, loaded: true, heardAt: now },
        actions: [{ type: "welcome", id: event.id }],
        reason: `${event.id} is loaded`,
      }));
    case "heard":
      return change(membership, event.id, (candidate) => ({
        candidate: { ...candidate, heardAt: now, suspected: false },
        actions: candidate.suspected ? [{ type: "trust", id: event.id }] : [],
        reason: candidate.suspected ? `${event.id} is heard again` : "",
      }));
    case "gone":
      return evict(membership, event.id, `${event.id} is gone: ${event.how}`);
    case "left":
      return evict(membership, event.id, `${event.id} left: ${event.why}`);
    case "accused":
      return remember(now, evict(membership, event.id, `${event.id} is evicted: ${event.why}`), event.id);
    case "tick":
      return tick(now, membership);
  }
}

/** Who may be a member now, in the order in which they joined: loaded, not suspected, and not waiting for readmission. */
export function eligible(now: number, { candidates, evictions }: Membership): string[] {
  return [...candidates.values()]
    .filter(({ id, loaded, suspected }) =>
      loaded && !suspected && now >= readmittedAt(now, evictions.get(id))
    )
    .map(({ id }) => id);
}

/** Whoever was evicted twice within ten minutes waits, twice as long each time. */
function readmittedAt(now: number, evictions: readonly number[] = []): number {
  const recent = evictions.filter((at) => now - at < MEMORY_MS);
  if (recent.length < 2) return 0;
  return recent[recent.length - 1] + READMISSION_MS * 2 ** (recent.length - 2);
}

/** For how long this coordinator itself was stopped, in ms: it adds that to every deadline. */
export function ownPause(now: number, { tickedAt }: Membership): number {
  const pause = now - tickedAt - TICK_MS;
  return pause > OWN_PAUSE_MS ? pause : 0;
}

function tick(now: number, before: Membership): Decision {
  const shift = ownPause(now, before);
  const actions: MembershipAction[] = [];
  const reasons: string[] = shift > 0 ? [`this coordinator was paused for ${seconds(shift)}`] : [];
  const candidates = new Map<string, Candidate>();
  let evictions = before.evictions;
  for (const given of before.candidates.values()) {
    const candidate = shift > 0 ? { ...given, heardAt: given.heardAt + shift } : given;
    const { id, loaded, inProcess, suspected } = candidate;
    const silent = now - candidate.heardAt;
    if (!inProcess && silent >= (loaded ? DEAD_MS : LOADING_DEAD_MS)) {
      actions.push({ type: "evict", id });
      reasons.push(`${id} is evicted: it was silent for ${seconds(silent)}`);
      evictions = withEviction(evictions, id, now);
    } else if (!inProcess && loaded && silent >= SUSPECT_MS && !suspected) {
      actions.push({ type: "suspect", id });
      reasons.push(`${id} is suspected: it was silent for ${seconds(silent)}`);
      candidates.set(id, { ...candidate, suspected: true });
    } else candidates.set(id, candidate);
  }
  return decided({ candidates, evictions, tickedAt: now }, actions, reasons.join("; "));
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

function decided(membership: Membership, actions: readonly MembershipAction[], reason: string): Decision {
  return { membership, actions, reason };
}

function withCandidate(membership: Membership, candidate: Candidate): Membership {
  return { ...membership, candidates: new Map(membership.candidates).set(candidate.id, candidate) };
}

function change(
  membership: Membership,
  id: string,
  to: (candidate: Candidate) => { candidate: Candidate; actions: MembershipAction[]; reason: string },
): Decision {
  const known = membership.candidates.get(id);
  if (known === undefined) return decided(membership, [], "");
  const { candidate, actions, reason } = to(known);
  return decided(withCandidate(membership, candidate), actions, reason);
}

function evict(membership: Membership, id: string, reason: string): Decision {
  if (!membership.candidates.has(id)) return decided(membership, [], "");
  const candidates = new Map(membership.candidates);
  candidates.delete(id);
  return decided({ ...membership, candidates }, [{ type: "evict", id }], reason);
}

function remember(now: number, { membership, actions, reason }: Decision, id: string): Decision {
  if (actions.length === 0) return { membership, actions, reason };
  return {
    membership: { ...membership, evictions: withEviction(membership.evictions, id, now) },
    actions,
    reason,
  };
}

function withEviction(
  evictions: Membership["evictions"],
  id: string,
  now: number,
): Membership["evictions"] {
  const recent = (evictions.get(id) ?? []).filter((at) => now - at < MEMORY_MS);
  return new Map(evictions).set(id, [...recent, now]);
}
