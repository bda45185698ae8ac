import { LockstepError } from "../../shared/errors.ts";
import { type ExportSource, parameterOf } from "../export/export_source.ts";

/** What the parameters that combine layers have become in one block. */
export interface Mixing {
  readonly layer: number;
  /** The parameter: linear_combination, route, route_k or route_v. */
  readonly name: string;
  /** Rows: the one memory of a combination, or the heads of a router. */
  readonly rows: readonly string[];
  /** Columns: earlier states, nearest first, or heads of all blocks so far, oldest block first. */
  readonly columns: readonly string[];
  /** The weights with which the model computes, row major: of top_k 0 where a state is not chosen. */
  readonly weights: Float32Array;
}

/**
 * The learned combinations of layers, block by block. Throws E_MODEL for a model that learns none: plain attention, or heads
 * that are split over layers by the configuration.
 */
export function mixingOf(source: ExportSource): Mixing[] {
  const { n_layer, attention, reflex } = source.model.config;
  const layers = Array.from({ length: n_layer }, (_, layer) => layer);
  const found = attention === "router"
    ? layers.flatMap((layer) => ["route_k", "route_v"].flatMap((name) => routes(source, layer, name)))
    : layers.flatMap((layer) => combination(source, layer));
  if (found.length > 0) return found;
  const what = attention === "reflex" ? `reflex.combine = ${reflex?.combine}` : `attention = ${attention}`;
  throw new LockstepError(
    "E_MODEL",
    `Cannot show what ${source.path} combines as it must have attention = router, or reflex.combine = linear or top_k: ` +
      `it has ${what}`,
  );
}

function combination(source: ExportSource, layer: number): Mixing[] {
  const name = source.model.config.reflex?.combine === "top_k" ? "route" : "linear_combination";
  const stored = parameterOf(source, `transformer.h.${layer}.attn.${name}.weight`);
  if (stored === undefined) return [];
  const weights = name === "route"
    ? chosen(stored, source.model.config.reflex?.top_k ?? stored.length)
    : stored;
  const columns = Array.from(weights, (_, j) => `h${layer - 1 - j}`);
  return [{ layer, name, rows: ["memory"], columns, weights }];
}

/** The best `count` of softmax(stored), renormalised; of equal ones the nearer state wins. */
function chosen(stored: Float32Array, count: number): Float32Array {
  const highest = Math.max(...stored);
  const raised = Float32Array.from(stored, (x) => Math.exp(x - highest));
  const best = [...raised.keys()].sort((a, b) => raised[b] - raised[a] || a - b).slice(0, count);
  const sum = best.reduce((total, j) => total + raised[j], 0);
  return raised.map((x, j) => best.includes(j) ? x / sum : 0);
}

function routes(source: ExportSource, layer: number, name: string): Mixing[] {
  const { n_head } = source.model.config;
  const weights = parameterOf(source, `transformer.h.${layer}.attn.${name}.weight`);
  if (weights === undefined) return [];
  const heads = Array.from({ length: n_head }, (_, head) => head);
  const columns = Array.from({ length: layer + 1 }, (_, block) => heads.map((head) => `${block}.${head}`))
    .flat();
  return [{ layer, name, rows: heads.map((head) => `head ${head}`), columns, weights }];
}
