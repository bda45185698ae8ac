import type { Spans } from "../../shared/spans.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { Region } from "../arena.ts";
import type { Reduced, StepKey } from "./collective.ts";
import { Exchange, type ExchangeOptions, type Exchanging } from "./exchange.ts";
import type { ExchangePlan } from "./exchange_plan.ts";
import type { DroppedFrames } from "./inbox.ts";
import type { LinkInterest } from "./link.ts";
import { scratchLength } from "./plan_exchanges.ts";

/** An exchange after these plans, of planExchanges. Throws E_MEMORY if the scratch is too short for them. */
export function makeExchange(
  plans: readonly ExchangePlan[],
  options: Omit<ExchangeOptions, "plan">,
): Exchanging {
  const { scratch } = options;
  if (scratch.length < scratchLength(plans)) {
    throw new LockstepError(
      "E_MEMORY",
      `Cannot add up others' gradients in ${scratch.length} numbers: ${scratchLength(plans)} are needed`,
    );
  }
  let used = 0;
  const levels = plans.map((plan) => {
    const own = cut(scratch, used, plan.scratchLength);
    used += plan.scratchLength;
    return new Exchange({ ...options, plan, scratch: own });
  });
  return levels.length === 1 && plans[0].level.finishes ? levels[0] : new GroupedExchange(levels);
}

function cut({ byteOffset, address, view }: Region, start: number, length: number): Region {
  return {
    byteOffset: byteOffset + 4 * start,
    length,
    address: address === 0n ? 0n : address + BigInt(4 * start),
    view: view.subarray(start, start + length),
  };
}

/**
 * Exchanges within each other: the sums with which one ends are what the next brings, and its results are what the one
 * before publishes. Where the last does not finish, this member holds no segment, and gets everything from its group.
 */
class GroupedExchange implements Exchanging {
  /** How many levels have handed their sums to the next. */
  #handed = 0;
  /** How many levels, from the last on, have been published by the one before. */
  #published = 0;

  constructor(private readonly levels: readonly Exchange[]) {}

  begin(key: StepKey, spans?: Spans): void {
    this.#handed = this.#published = 0;
    for (const level of this.levels) level.begin(key, spans);
  }

  announce(node: number, byteOffset: number): void {
    this.levels[0].announce(node, byteOffset);
  }

  abort(): void {
    for (const level of this.levels) level.abort();
    this.#handed = this.#published = this.levels.length - 1;
  }

  pump(): boolean {
    let worked = false;
    for (const level of this.levels) worked = level.pump() || worked;
    return this.#hand() || this.#publish() || worked;
  }

  get done(): boolean {
    return this.#published === this.levels.length - 1 && this.levels.every(({ done }) => done);
  }

  get interest(): LinkInterest {
    const interests = this.levels.map(({ interest }) => interest);
    return { from: interests.flatMap(({ from }) => from), to: interests.flatMap(({ to }) => to) };
  }

  get isAnnounced(): boolean {
    return this.levels[0].isAnnounced;
  }

  get result(): Reduced {
    return this.levels[0].result;
  }

  get dropped(): DroppedFrames {
    const all = this.levels.map(({ dropped }) => dropped);
    return {
      nonce: all.reduce((sum, { nonce }) => sum + nonce, 0),
      stale: all.reduce((sum, { stale }) => sum + stale, 0),
    };
  }

  /** Hands the sums of the first level that has not done so yet to the next one, if they are complete. */
  #hand(): boolean {
    const next = this.levels.at(this.#handed + 1);
    const sums = next === undefined ? null : this.levels[this.#handed].sums;
    if (next === undefined || sums === null) return false;
    for (const [node, byteOffset] of sums) next.announce(node, byteOffset);
    this.#handed++;
    return true;
  }

  /** Publishes the results of the last level that is not published yet, if it is done. */
  #publish(): boolean {
    const last = this.levels.length - 1 - this.#published;
    if (last === 0 || !this.levels[last].done) return false;
    this.levels[last - 1].publish(this.levels[last].gradHash);
    this.#published++;
    return true;
  }
}
