import assert from "node:assert/strict";
import { join } from "node:path";
import { attentionTable, mixingTable } from "../../../coordinator/cli/inspect_inside.ts";
import { type ExportSource, openExportSource } from "../../../worker/export/export_source.ts";
import { attentionFigures, attentionOf } from "../../../worker/inside/attention.ts";
import { drawHeatMaps } from "../../../worker/inside/heat_maps.ts";
import { mixingOf } from "../../../worker/inside/mixing.ts";
import type { Model } from "../../../worker/model/load_model.ts";
import { inTempDir } from "../../shared/temp_dir.ts";
import { fillMixed } from "../tiny_model.ts";
import { writeTinyRun } from "../tiny_run.ts";

const SORT = { dataset: "sort", sort: { length: 4, values: 10 }, vocab_size: 11, n_layer: 4 };

/** Opens a run of a variant whose parameters `change` may set. */
function withRun(
  keys: Record<string, unknown>,
  test: (source: ExportSource) => Promise<void> | void,
  change: (values: Float32Array, model: Model) => void = () => {},
): Promise<void> {
  return inTempDir(async (dir) => {
    const weights = (_step: number, model: Model) => {
      const values = new Float32Array(model.size);
      fillMixed(values);
      change(values, model);
      return values;
    };
    await test(
      await openExportSource(await writeTinyRun(join(dir, "run"), { config: { ...SORT, ...keys }, weights })),
    );
  });
}

function setParameter(values: Float32Array, model: Model, name: string, numbers: readonly number[]): void {
  const found = model.parameters.find((parameter) => parameter.name === name);
  assert.equal(found?.size, numbers.length, name);
  values.set(numbers, found?.offset);
}

const REFLEX = { attention: "reflex", reflex: { heads: [1, 1, 0], depth: 3 } };

Deno.test("attentionOf() gives causal rows that sum to 1, and says what each head looks at", () =>
  withRun(REFLEX, async (source) => {
    const heads = await attentionOf(source, Int32Array.of(3, 1, 4, 1, 5));
    assert.deepEqual(
      heads.map(({ layer, head, source }) => `${layer}.${head} ${source}`),
      ["0.0 own", "0.1 own", "1.0 own", "1.1 1 back", "2.0 own", "2.1 1 back", "3.0 own", "3.1 1 back"],
    );
    for (const { probabilities } of heads) {
      for (let query = 0; query < 5; query++) {
        const row = probabilities.slice(query * 5, (query + 1) * 5);
        assert.ok(Math.abs(row.reduce((sum, p) => sum + p, 0) - 1) < 1e-6);
        assert.ok(row.slice(query + 1).every((p) => p === 0));
      }
    }
    const text = attentionTable(heads, ["3", "1", "4", "1", "5"]);
    assert.match(text, /^layer {2}head {2}looks at/);
    assert.equal(text.split("\n").length, 9);
  }));

Deno.test("attentionFigures() of a head that looks one token back, and of one that looks at all alike", () => {
  const back = Float32Array.of(1, 0, 0, 1, 0, 0, 0, 1, 0);
  assert.deepEqual(attentionFigures(back), { distance: 2 / 3, entropy: 0 });
  const alike = Float32Array.of(1, 0, 0.5, 0.5);
  assert.deepEqual(attentionFigures(alike), { distance: 0.25, entropy: 0.5 });
});

Deno.test("mixingOf() shows a linear combination as stored, nearest state first", () =>
  withRun(
    { attention: "reflex", reflex: { heads: [1, 1, 0], depth: 2, combine: "linear" } },
    (source) => {
      const mixings = mixingOf(source);
      assert.deepEqual(mixings.map(({ layer, columns }) => [layer, ...columns]), [
        [1, "h0"],
        [2, "h1", "h0"],
        [3, "h2", "h1"],
      ]);
      assert.deepEqual([...mixings[1].weights], [0.25, -0.75]);
      assert.match(mixingTable(mixings), /2 +linear_combination +memory +h0 -0\.750 {2}h1 0\.250/);
    },
    (values, model) =>
      setParameter(values, model, "transformer.h.2.attn.linear_combination.weight", [0.25, -0.75]),
  ));

Deno.test("mixingOf() shows what top_k has chosen, renormalised, the nearer state of equal ones", () =>
  withRun(
    { attention: "reflex", reflex: { heads: [1, 1, 0], depth: "all", combine: "top_k", top_k: 2 } },
    (source) => {
      const [, , last] = mixingOf(source);
      assert.deepEqual(last.columns, ["h2", "h1", "h0"]);
      assert.deepEqual([...last.weights], [0.5, 0.5, 0]);
    },
    (values, model) => setParameter(values, model, "transformer.h.3.attn.route.weight", [1, 1, 1]),
  ));

Deno.test("mixingOf() shows a router's heads over all heads so far", () =>
  withRun({ attention: "router" }, (source) => {
    const mixings = mixingOf(source);
    assert.deepEqual(mixings.map(({ layer, name }) => `${layer} ${name}`), [
      "1 route_k",
      "1 route_v",
      "2 route_k",
      "2 route_v",
      "3 route_k",
      "3 route_v",
    ]);
    assert.deepEqual(mixings[0].columns, ["0.0", "0.1", "1.0", "1.1"]);
    assert.equal(mixings[5].weights.length, 2 * 8);
  }));

Deno.test("mixingOf() says that plain attention and split heads learn no combination", async () => {
  for (
    const [keys, what] of [[{}, /it has attention = causal$/], [
      REFLEX,
      /it has reflex\.combine = concat$/,
    ]] as const
  ) {
    await withRun(keys, (source) => {
      assert.throws(() => mixingOf(source), { code: "E_MODEL", message: what });
    });
  }
});

Deno.test("drawHeatMaps() draws one rectangle a value that is not 0, and text that is XML", () => {
  const values = Float32Array.of(1, 0, -0.5, 0.25);
  const svg = drawHeatMaps([{ title: "a < b", rows: ["\n", "&"], columns: ["x", "y"], values }], {
    perRow: 2,
  });
  assert.equal(svg.match(/<title>/g)?.length, 3);
  assert.ok(svg.includes("rgb(8,81,156)")); // 1, the strongest
  assert.ok(svg.includes("a\u00a0&lt;\u00a0b") && svg.includes("⏎") && svg.includes(">&amp;<"));
});
