/** Traces of a real run, as a collector on this machine gets them. */
import assert from "node:assert/strict";
import { sandbox, TINY } from "./support.ts";

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

Deno.test("train with OTEL_DENO=true: a collector gets a trace of each step, with each worker's phases, and of each checkpoint", async () => {
  const got: OtlpSpan[] = [];
  await using collector = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    if (request.url.endsWith("/v1/traces")) {
      const { resourceSpans } = await request.json();
      for (const { scopeSpans } of resourceSpans) for (const { spans } of scopeSpans) got.push(...spans);
    }
    return Response.json({});
  });
  await using box = await sandbox();
  const words = [...TINY, "--nproc_per_node=2", "--max_iters=6", "--log_interval=5"];
  await box.train("run", words, {
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_DENO_CONSOLE: "ignore",
    },
  });

  const steps = got.filter(({ name }) => name === "step");
  const numberOf = ({ attributes }: OtlpSpan) =>
    Number(Object.values(attributes.find(({ key }) => key === "lockstep.step")?.value ?? {})[0]);
  assert.deepEqual(steps.map(numberOf).sort(), [0, 1, 2, 3, 4, 5], "also those between log_interval");
  assert.equal(new Set(steps.map(({ traceId }) => traceId)).size, steps.length);
  for (const step of steps) {
    const below = (parent: OtlpSpan) => got.filter(({ parentSpanId }) => parentSpanId === parent.spanId);
    const workers = below(step);
    assert.deepEqual(workers.map(({ name }) => name).sort(), ["worker-0", "worker-1"]);
    for (const worker of workers) {
      const phases = below(worker);
      assert.deepEqual(phases.map(({ name }) => name).sort(), ["apply", "compute", "reduce", "wait"]);
      for (const { startTimeUnixNano: from, endTimeUnixNano: to, traceId } of phases) {
        assert.equal(traceId, step.traceId);
        assert.ok(BigInt(step.startTimeUnixNano) <= BigInt(from) && BigInt(from) <= BigInt(to));
        assert.ok(BigInt(to) <= BigInt(step.endTimeUnixNano) + 1_000n, "rounded to a microsecond");
      }
    }
  }
  assert.deepEqual(got.filter(({ name }) => name === "checkpoint").map(numberOf), [6]);
});
