import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { claimEpoch } from "../../coordinator/epoch.ts";
import { Ledger, type LedgerFile } from "../../coordinator/ledger.ts";
import { EMPTY_CHAIN, follow, type StepLine, type Unchained } from "../../coordinator/ledger_chain.ts";
import { openLedger, readLedger } from "../../coordinator/ledger_files.ts";
import { LockstepError } from "../../shared/errors.ts";
import { inTempDir } from "../shared/temp_dir.ts";

function line(step: number, { epoch = 1, grad = "a", state = "b" } = {}): Unchained<StepLine> {
  return {
    ...{ epoch, generation: 1, attempt: 0, step, samples: [4 * step, 4 * step + 3], shards: { w: [0, 1] } },
    grad_hash: grad.repeat(32),
    state_hash: state.repeat(32),
  };
}

class Memory implements LedgerFile {
  text = "";
  isFull = false;
  append(text: string): void {
    if (this.isFull) throw new LockstepError("E_NO_SPACE", "full");
    this.text += text;
  }
  sync(): Promise<void> {
    return Promise.resolve();
  }
}

Deno.test("Ledger.decide() writes a line a step that follow() reads back, however the file is cut", () => {
  const file = new Memory();
  const ledger = new Ledger(file, EMPTY_CHAIN);
  for (let step = 0; step < 5; step++) ledger.decide(line(step));
  const whole = follow(file.text, EMPTY_CHAIN);
  assert.deepEqual([whole.next, whole.problem, whole.bytes], [5, null, file.text.length]);
  fc.assert(fc.property(fc.nat(file.text.length), (cut) => {
    const part = follow(file.text.slice(0, cut), EMPTY_CHAIN);
    const lines = file.text.slice(0, cut).split("\n").length - 1;
    assert.equal(part.next, lines);
    assert.equal(part.bytes, file.text.slice(0, cut).lastIndexOf("\n") + 1);
  }));
});

Deno.test("follow() ends at the first line that was changed in any byte", () => {
  const file = new Memory();
  const ledger = new Ledger(file, EMPTY_CHAIN);
  for (let step = 0; step < 4; step++) ledger.decide(line(step));
  const starts = [0, ...file.text.split("").flatMap((c, i) => c === "\n" ? [i + 1] : [])];
  fc.assert(fc.property(fc.nat(file.text.length - 2), (at) => {
    const damaged = file.text.slice(0, at) + (file.text[at] === "7" ? "8" : "7") + file.text.slice(at + 1);
    const changed = starts.findLastIndex((start) => start <= at);
    // A line that still reads well is found out by the next one, which names its hash.
    const { next, problem } = follow(damaged, EMPTY_CHAIN);
    assert.ok(
      next <= changed + 1 && next >= Math.min(changed, 4),
      `${next} lines valid, line ${changed} damaged`,
    );
    assert.ok(problem !== null || changed === 3);
  }));
});

Deno.test("Ledger.decide() decides nothing where the line cannot be written", () => {
  const file = new Memory();
  const ledger = new Ledger(file, EMPTY_CHAIN);
  ledger.decide(line(0));
  file.isFull = true;
  assert.throws(() => ledger.decide(line(1)), { code: "E_NO_SPACE" });
  assert.equal(ledger.next, 1);
  file.isFull = false;
  ledger.decide(line(1));
  assert.equal(follow(file.text, EMPTY_CHAIN).next, 2);
});

Deno.test("Ledger.decide() holds a replay to what was decided, and appends nothing for it", () => {
  const before = new Memory();
  const first = new Ledger(before, EMPTY_CHAIN);
  for (let step = 0; step < 3; step++) first.decide(line(step));
  const file = new Memory();
  const replay = new Ledger(file, follow(before.text, EMPTY_CHAIN));
  replay.decide(line(1, { epoch: 2 }));
  assert.equal(file.text, "");
  assert.throws(() => replay.decide(line(2, { epoch: 2, grad: "c" })), {
    code: "E_DIVERGED",
    message: /another gradient/,
  });
  assert.throws(() => replay.decide(line(2, { epoch: 2, state: "c" })), {
    code: "E_DIVERGED",
    message: /another state/,
  });
});

Deno.test("Ledger.decide() voids what follows where a replay may come out otherwise, and says so", () => {
  const before = new Memory();
  const first = new Ledger(before, EMPTY_CHAIN);
  for (let step = 0; step < 4; step++) first.decide(line(step));
  const said: string[] = [];
  const file = new Memory();
  const replay = new Ledger(file, follow(before.text, EMPTY_CHAIN), (sentence) => said.push(sentence));
  replay.decide(line(2, { epoch: 2, grad: "c" }));
  replay.decide(line(3, { epoch: 2, grad: "c" }));
  assert.equal(said.length, 1);
  const chain = follow(before.text + file.text, EMPTY_CHAIN);
  assert.deepEqual([chain.next, chain.problem, chain.steps.get(3)?.grad_hash], [4, null, "c".repeat(32)]);
});

Deno.test("readLedger() takes of each epoch what the next has adopted, and cuts a torn line", () =>
  inTempDir(async (dir) => {
    const open = async (epoch: number) => {
      const { chain, file } = openLedger(dir, { epoch, before: await readLedger(dir) });
      return { ledger: new Ledger(file, chain), file };
    };
    const one = await open(1);
    for (let step = 0; step < 3; step++) one.ledger.decide(line(step));
    const two = await open(2);
    one.ledger.decide(line(3, { grad: "d" })); // the old coordinator wakes: void
    two.ledger.decide(line(3, { epoch: 2 }));
    two.ledger.decide(line(4, { epoch: 2 }));
    await two.ledger.sync();
    one.file[Symbol.dispose]();
    two.file[Symbol.dispose]();
    const path = join(dir, "ledger-2.jsonl");
    await Deno.writeTextFile(path, '{"epoch":2,"gener', { append: true });
    const { next, steps, problems } = await readLedger(dir);
    assert.deepEqual([next, steps.get(3)?.epoch, steps.get(3)?.grad_hash], [5, 2, "a".repeat(32)]);
    assert.deepEqual(problems, ["ledger-2.jsonl: its last line is not complete"]);
    await Deno.writeTextFile(join(dir, "ledger-3.jsonl"), '{"epo'); // a coordinator that died at its first line
    assert.equal((await readLedger(dir)).next, 5);
  }));

Deno.test("claimEpoch() gives each coordinator another epoch, and tells all but the last that they are stale", () =>
  inTempDir((dir) => {
    const [one, two] = [claimEpoch(dir), claimEpoch(dir)];
    assert.deepEqual([one.number, two.number], [1, 2]);
    assert.throws(() => one.check(), { code: "E_STALE", message: /epoch 2; this one is 1/ });
    two.check();
    Deno.writeTextFileSync(join(dir, "epoch-2"), "somebody else");
    assert.throws(() => two.check(), { code: "E_STALE" });
    return Promise.resolve();
  }));
