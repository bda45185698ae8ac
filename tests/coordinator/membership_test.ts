import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decide,
  type Decision,
  eligible,
  type Membership,
  type MembershipEvent,
  noMembers,
  TICK_MS,
} from "../../coordinator/membership.ts";

/** Takes one event after the other, with a tick every TICK_MS until `until`. */
class Play {
  now = 0;
  membership: Membership = noMembers(0);

  do(event: MembershipEvent): Decision {
    const decision = decide(this.now, this.membership, event);
    this.membership = decision.membership;
    return decision;
  }

  join(...ids: string[]): void {
    for (const id of ids) {
      this.do({ type: "joined", id, inProcess: false });
      this.do({ type: "loaded", id });
    }
  }

  /** All decisions of the ticks until a moment; those of `alive` are heard before each. */
  until(ms: number, alive: string[] = []): Decision[] {
    const decisions: Decision[] = [];
    while (this.now < ms) {
      this.now += TICK_MS;
      for (const id of alive) this.do({ type: "heard", id });
      decisions.push(this.do({ type: "tick" }));
    }
    return decisions.filter(({ reason }) => reason !== "");
  }
}

Deno.test("decide() suspects who is silent for 3 s, evicts after 10 s, and says why", () => {
  const play = new Play();
  play.join("a", "b");
  const decisions = play.until(12_000, ["b"]);
  assert.deepEqual(decisions.map(({ actions, reason }) => [actions, reason]), [
    [[{ type: "suspect", id: "a" }], "a is suspected: it was silent for 3.0 s"],
    [[{ type: "evict", id: "a" }], "a is evicted: it was silent for 10.0 s"],
  ]);
  assert.deepEqual(eligible(play.now, play.membership), ["b"]);
});

Deno.test("decide() trusts a suspected member that is heard again; a stop of 2 s suspects nobody", () => {
  const play = new Play();
  play.join("a");
  assert.deepEqual(play.until(2_000), []);
  play.do({ type: "heard", id: "a" });
  play.until(6_000);
  assert.deepEqual(eligible(play.now, play.membership), []);
  assert.deepEqual(play.do({ type: "heard", id: "a" }).actions, [{ type: "trust", id: "a" }]);
  assert.deepEqual(eligible(play.now, play.membership), ["a"]);
});

Deno.test("decide() judges nobody by the time in which the coordinator itself was stopped", () => {
  const play = new Play();
  play.join("a", "b");
  play.now += 15_000;
  const { actions, reason } = play.do({ type: "tick" });
  assert.deepEqual([actions, reason], [[], "this coordinator was paused for 14.8 s"]);
  assert.deepEqual(play.until(play.now + 2_000), []);
});

Deno.test("decide() gives whoever loads 60 s, and never misses who is in its own process", () => {
  const play = new Play();
  play.do({ type: "joined", id: "slow", inProcess: false });
  play.join("a");
  play.do({ type: "joined", id: "self", inProcess: true });
  play.do({ type: "loaded", id: "self" });
  const evicted = play.until(61_000, ["a"]).flatMap(({ actions }) => actions);
  assert.deepEqual(evicted, [{ type: "evict", id: "slow" }]);
});

Deno.test("eligible() readmits after two evictions within ten minutes with a delay that doubles", () => {
  const play = new Play();
  const delays: number[] = [];
  for (let round = 0; round < 4; round++) {
    play.join("a");
    const since = play.now;
    while (!eligible(play.now, play.membership).includes("a")) play.until(play.now + TICK_MS, ["a"]);
    delays.push(play.now - since);
    play.do({ type: "accused", id: "a", why: "it holds the others up" });
  }
  assert.deepEqual(delays, [0, 0, 5_000, 10_000]);
  play.until(700_000);
  play.join("a");
  assert.deepEqual(eligible(play.now, play.membership), ["a"]);
});

Deno.test("decide() is pure: it changes nothing that it is given, and the same event gives the same decision", () => {
  const id = fc.constantFrom("a", "b", "c");
  const event: fc.Arbitrary<MembershipEvent> = fc.oneof(
    fc.record({ type: fc.constant("joined" as const), id, inProcess: fc.boolean() }),
    fc.record({ type: fc.constant("loaded" as const), id }),
    fc.record({ type: fc.constant("heard" as const), id }),
    fc.record({ type: fc.constant("gone" as const), id, how: fc.constant("x") }),
    fc.record({ type: fc.constant("left" as const), id, why: fc.constant("x") }),
    fc.record({ type: fc.constant("accused" as const), id, why: fc.constant("x") }),
    fc.record({ type: fc.constant("tick" as const) }),
  );
  const script = fc.array(fc.tuple(fc.nat(8_000), event), { maxLength: 60 });
  fc.assert(fc.property(script, (steps) => {
    let now = 0;
    let membership = noMembers(0);
    for (const [ms, happened] of steps) {
      now += ms;
      const before = structuredClone(membership);
      const decision = decide(now, membership, happened);
      assert.deepEqual(membership, before);
      assert.deepEqual(decide(now, membership, happened), decision);
      for (const action of decision.actions) {
        if (action.type === "evict") assert.ok(!decision.membership.candidates.has(action.id));
        assert.ok(decision.reason !== "", "every action has a reason");
      }
      membership = decision.membership;
      for (const able of eligible(now, membership)) {
        const candidate = membership.candidates.get(able);
        assert.ok(candidate?.loaded && !candidate.suspected);
      }
    }
  }));
});
