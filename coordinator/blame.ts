/** What is known of a member while a step or a start is under way. */
export interface Standing {
  readonly id: string;
  /** Members that its reduction waits for. */
  readonly waitsFor: readonly string[];
  /** For how long it has neither computed nor moved anything, in ms. */
  readonly idleMs: number;
}

/** Whom to blame, and why. */
export interface Blame {
  readonly id: string;
  readonly why: string;
}

/** Without any progress for so long, a step is stalled. */
export const STALL_MS = 10_000;

/**
 * Who holds up a step, of the members that have not finished it; null while any of them makes progress. One that waits on
 * nobody is to blame; where all wait on each other a link is, and the member that most of them name goes, of several the last.
 */
export function blame(unfinished: readonly Standing[]): Blame | null {
  if (unfinished.length === 0 || unfinished.some(({ idleMs }) => idleMs < STALL_MS)) return null;
  const free = unfinished.find(({ waitsFor }) => waitsFor.length === 0);
  if (free !== undefined) {
    return { id: free.id, why: `it made no progress for ${STALL_MS / 1000} s and waits on nobody` };
  }
  const accused = mostNamed(unfinished);
  if (accused === null) return null;
  const by = unfinished.filter(({ id, waitsFor }) => id !== accused && waitsFor.includes(accused)).map((
    { id },
  ) => id);
  return {
    id: accused,
    why: `nothing moved for ${STALL_MS / 1000} s on the link between ${accused} and ${by.join(", ")}`,
  };
}

/** The member that most others name; of several the last. */
export function mostNamed(standings: readonly Pick<Standing, "id" | "waitsFor">[]): string | null {
  const named = new Map<string, number>();
  for (const { id, waitsFor } of standings) {
    for (const other of new Set(waitsFor)) if (other !== id) named.set(other, (named.get(other) ?? 0) + 1);
  }
  let accused: string | null = null;
  for (const id of [...named.keys()].sort()) {
    if (accused === null || (named.get(id) ?? 0) >= (named.get(accused) ?? 0)) accused = id;
  }
  return accused;
}
