import assert from "node:assert/strict";
import { openControlServer } from "../../../coordinator/control_server.ts";
import { runCheck } from "../../../coordinator/doctor/check.ts";
import { endpointCheck } from "../../../coordinator/doctor/endpoint_check.ts";
import { measure, type Measurement } from "../../../coordinator/doctor/measure_client.ts";
import {
  decodeMeasure,
  decodeMeasured,
  encodeMeasuring,
  MEASURE_BYTES,
} from "../../../coordinator/doctor/measure_messages.ts";
import { openMeasureServer } from "../../../coordinator/doctor/measure_server.ts";
import { type ErrorCode, LockstepError } from "../../../shared/errors.ts";
import { makeRunKeys } from "../../../shared/keys.ts";
import { zmqTest } from "../../shared/zmq/zmq_test_support.ts";
import { contextOf } from "./context.ts";

const ANY_PORT = "tcp://127.0.0.1:*";

zmqTest(
  "measure() finds round trip, clock and bandwidth over encrypted tcp, for workers and admins",
  async () => {
    const keys = makeRunKeys();
    const server = await openMeasureServer({
      endpoint: ANY_PORT,
      keys: keys.coordinator,
      clock: () => Date.now() - 60_000,
    });
    try {
      for (const member of [keys.worker, keys.admin]) {
        const { roundTripMs, skewMs, up, down } = await measure(server.endpoint, { keys: member });
        assert.ok(roundTripMs > 0 && roundTripMs < 1_000, `${roundTripMs} ms`);
        assert.ok(skewMs !== null && Math.abs(skewMs + 60_000) < 500, `${skewMs} ms`);
        assert.ok(up !== null && up > 1e6 && down !== null && down > 1e6, `${up} and ${down} bytes/s`);
      }
    } finally {
      await server.close();
    }
  },
);

zmqTest(
  "measure() is refused with other keys and without, within its patience",
  async () => {
    const server = await openMeasureServer({ endpoint: ANY_PORT, keys: makeRunKeys().coordinator });
    try {
      for (const keys of [makeRunKeys().worker, undefined]) {
        await assert.rejects(measure(server.endpoint, { keys, patienceMs: 300 }), { code: "E_KEY" });
      }
    } finally {
      await server.close();
    }
  },
);

zmqTest("measure() takes an unknown key of the right coordinator for refused", async () => {
  const keys = makeRunKeys();
  const server = await openMeasureServer({ endpoint: ANY_PORT, keys: keys.coordinator });
  try {
    const stranger = { ...makeRunKeys().worker, coordinator: keys.coordinator.publicKey };
    await assert.rejects(measure(server.endpoint, { keys: stranger }), {
      code: "E_KEY",
      message: /does not admit this key/,
    });
  } finally {
    await server.close();
  }
});

zmqTest("measure() gives up on a port where nobody listens, or nobody answers", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const endpoint = `tcp://127.0.0.1:${listener.addr.port}`;
  const began = performance.now();
  await assert.rejects(measure(endpoint, { keys: undefined, patienceMs: 200 }), { code: "E_KEY" });
  listener.close();
  await assert.rejects(measure(endpoint, { keys: undefined, patienceMs: 200 }), {
    code: "E_LINK",
    message: /nothing listens there/,
  });
  assert.ok(performance.now() - began < 5_000);
});

Deno.test("endpointCheck() fails where somebody must listen, and warns where a run may begin later", async () => {
  const find = async (code: ErrorCode, isExpected: boolean) => {
    const measure = () => Promise.reject(new LockstepError(code, "Cannot speak to tcp://b:1"));
    return (await runCheck(endpointCheck({ at: "b:1", isExpected, measure }), await contextOf())).status;
  };
  assert.equal(await find("E_LINK", true), "failure");
  assert.equal(await find("E_LINK", false), "warning");
  assert.equal(await find("E_KEY", false), "failure");
});

zmqTest("measure() learns of a run only its round trip, and the run gets no message of it", async () => {
  const keys = makeRunKeys();
  const server = await openControlServer({ endpoint: ANY_PORT, keys: keys.coordinator });
  try {
    for (const member of [keys.worker, keys.admin]) {
      const { roundTripMs, ...others } = await measure(server.endpoint, { keys: member });
      assert.ok(roundTripMs > 0);
      assert.deepEqual(others, { skewMs: null, up: null, down: null });
    }
    assert.deepEqual([...server.refused], []);
    const heard = server.receive();
    await server.close();
    assert.equal(await heard, null);
  } finally {
    await server.close();
  }
});

Deno.test("endpointCheck() judges clocks and speed, and says how long a gradient takes", async () => {
  const good: Measurement = { roundTripMs: 0.4, skewMs: 0.2, up: 2e9, down: 1e9 };
  const find = async (measured: Partial<Measurement>) =>
    await runCheck(
      endpointCheck({
        at: "b:1",
        isExpected: true,
        measure: () => Promise.resolve({ ...good, ...measured }),
      }),
      await contextOf(),
    );
  const { status, detail } = await find({});
  assert.equal(status, "ok");
  assert.equal(
    detail,
    "b:1 answers in 0.40 ms; its clock is the same within 1 ms; 2.00 GB/s there, 1.00 GB/s back, a gradient in 4.0 ms",
  );
  assert.equal((await find({ skewMs: 700 })).status, "warning");
  assert.match((await find({ skewMs: -61_000 })).detail, /61\.000 s behind/);
  assert.equal((await find({ skewMs: -61_000 })).status, "failure");
  assert.equal((await find({ up: 5e7 })).status, "warning");
  assert.equal((await find({ skewMs: null, up: null, down: null })).status, "ok");
});

Deno.test("measuring messages pass encoding, and no piece may be larger than agreed", () => {
  assert.deepEqual(
    decodeMeasure(encodeMeasuring({ type: "MEASURE", take: MEASURE_BYTES })).take,
    MEASURE_BYTES,
  );
  assert.equal(decodeMeasured(encodeMeasuring({ type: "MEASURED", clock: 1.5 })).clock, 1.5);
  const greedy = encodeMeasuring({ type: "MEASURE", take: MEASURE_BYTES + 1 });
  assert.throws(() => decodeMeasure(greedy), { code: "E_DECODE" });
  assert.throws(() => decodeMeasure(encodeMeasuring({ type: "MEASURED", clock: 1 })), { code: "E_DECODE" });
});
