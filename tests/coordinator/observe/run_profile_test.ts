import assert from "node:assert/strict";
import { clockOffset } from "../../../coordinator/observe/clock_offset.ts";
import { RunProfile } from "../../../coordinator/observe/run_profile.ts";
import type { StepTrace } from "../../../coordinator/step_trace.ts";
import type { MetricsLine } from "../../../shared/metrics.ts";
import { isInRange, MOST_SPANS, type Span, Spans } from "../../../shared/spans.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

Deno.test("clockOffset() leaves a clock alone that agrees, and takes the middle of what is possible otherwise", () => {
  assert.equal(clockOffset([{ least: -3, most: 1 }, { least: -1, most: 4 }]), 0);
  assert.equal(clockOffset([{ least: 5, most: 9 }, { least: 6, most: 20 }]), 7.5);
  assert.equal(clockOffset([{ least: -9, most: -4 }]), -6.5);
  assert.equal(clockOffset([{ least: 5, most: 6 }, { least: 8, most: 10 }]), 7, "a clock that drifts");
});

Deno.test("isInRange() ends before the second step", () => {
  assert.deepEqual([9, 10, 19, 20].map((step) => isInRange(step, "10:20")), [false, true, true, false]);
  assert.equal(isInRange(0, null), false);
});

Deno.test("Spans keeps no more than a message carries", () => {
  const spans = new Spans("lane");
  for (let i = 0; i <= MOST_SPANS; i++) spans.add(`${i}`, 0);
  assert.equal(spans.list.length, MOST_SPANS);
});

/** A step of 100 ms from `beganAt` on, of a member whose clock is ahead by `ahead` ms. */
function trace(step: number, { beganAt, ahead }: { beganAt: number; ahead: number }): StepTrace {
  const at = performance.timeOrigin + beganAt + ahead;
  const spans: Span[] = [["messages", "compute", at + 1, 40], ["messages", "apply", at + 62, 30]];
  const times = { beganAt, preparedAt: beganAt + 50, decidedAt: beganAt + 60, endedAt: beganAt + 100 };
  return { step, ...times, members: [{ id: "worker-0", appliedAt: beganAt + 96, spans }] };
}

Deno.test("RunProfile writes steps, and the checkpoint between them, on one clock, once the range is over", async () => {
  await inTempDir(async (runDir) => {
    let now = 0;
    const profile = new RunProfile({ runDir, steps: "3:5", now: () => now, warn: assert.fail });
    const { begins, step, traced } = profile.observing({});
    const path = `${runDir}/profile-3-5.json`;
    begins?.("stepping");
    traced?.(trace(3, { beganAt: 0, ahead: 5_000 }));
    now = 100;
    begins?.("saving");
    now = 130;
    begins?.("stepping");
    traced?.(trace(4, { beganAt: 130, ahead: 5_000 }));
    assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
    step?.({ step: 5 } as MetricsLine);
    traced?.(trace(5, { beganAt: 900, ahead: 0 }));
    await profile.write(); // nothing is written twice

    const { traceEvents } = JSON.parse(await Deno.readTextFile(path));
    const shown = traceEvents.filter(({ ph }: { ph: string }) => ph === "X")
      .map(({ pid, name, ts, dur }: Record<string, number>) => `${pid} ${name} ${ts / 1000}+${dur / 1000}`);
    assert.deepEqual(shown, [
      ...[
        "0 step 3 0+100",
        "0 wait for gradients 0+50",
        "0 ledger and decision 50+10",
        "0 wait for updates 60+40",
      ],
      ...["0 step 4 130+100", "0 wait for gradients 130+50", "0 ledger and decision 180+10"],
      ...["0 wait for updates 190+40", "0 checkpoint 100+30"],
      // Between the decision and the news of it, with 2 ms on either side instead of 2 and 4.
      ...["1 compute 2+40", "1 apply 63+30", "1 compute 132+40", "1 apply 193+30"],
    ]);
  });
});
