import { type Graph, verifyGraph } from "./graph.ts";
import { shareCommonSubexpressions } from "./passes/common_subexpressions.ts";
import { removeDeadCode } from "./passes/dead_code.ts";
import { joinPads } from "./passes/join_pads.ts";
import { recogniseNormalize } from "./passes/recognise_normalize.ts";
import { scaleIntoProduct } from "./passes/scale_into_product.ts";
import { simplify } from "./passes/simplify.ts";
import { sumIntoProduct } from "./passes/sum_into_product.ts";
import { transposeForProduct } from "./passes/transpose_for_product.ts";

type Pass = (graph: Graph) => Graph;

/** In this order; each leaves a graph that verifies, and dead code goes after each. */
export const PASSES: readonly Pass[] = [
  shareCommonSubexpressions,
  simplify,
  shareCommonSubexpressions,
  recogniseNormalize,
  joinPads,
  simplify,
  scaleIntoProduct,
  shareCommonSubexpressions,
  sumIntoProduct,
  transposeForProduct,
  simplify,
  shareCommonSubexpressions,
];

/** Runs all passes over a traced graph. */
export function optimize(graph: Graph): Graph {
  const optimized = PASSES.reduce((current, pass) => removeDeadCode(pass(current)), removeDeadCode(graph));
  verifyGraph(optimized);
  return optimized;
}
