import { type ErrorCode, LockstepError } from "../errors.ts";
import type { RunConfig } from "./run_config.ts";

/** What keys demand of each other: what is required and what was given, or null where a rule is kept. */
type Rule = (config: RunConfig) => string | null;

const modelRules: readonly Rule[] = [
  ({ n_embd, n_head }) =>
    n_embd % n_head === 0
      ? null
      : `n_embd must be divisible by n_head: n_embd is ${n_embd}, n_head is ${n_head}`,

  ({ attention, reflex: { depth }, n_layer }) =>
    attention !== "reflex" || depth === "all" || depth <= n_layer
      ? null
      : `reflex.depth must be from 1 to n_layer, or all: it is ${depth}, n_layer is ${n_layer}`,

  ({ attention, reflex: { layers }, n_layer }) =>
    attention !== "reflex" || layers === "all" || layers.every((layer) => layer < n_layer)
      ? null
      : `reflex.layers must name blocks from 0 to ${n_layer - 1}: it is [${layers}]`,

  ({ attention, reflex: { source, combine } }) =>
    attention !== "reflex" || combine === "concat" || source === "hidden"
      ? null
      : `reflex.source must be hidden with reflex.combine = ${combine}: it is ${source}`,

  reflexHeads,
  reflexTopK,
];

const runRules: readonly Rule[] = [
  ({ dataset, sort, block_size }) =>
    dataset !== "sort" || block_size >= 2 * sort.length
      ? null
      : `block_size must be at least 2 · sort.length = ${2 * sort.length}: it is ${block_size}`,

  ({ dataset, sort, vocab_size }) =>
    dataset !== "sort" || vocab_size === 0 || vocab_size > sort.values
      ? null
      : `vocab_size must be 0 or at least sort.values + 1 = ${sort.values + 1}: it is ${vocab_size}`,

  ({ min_lr, learning_rate }) =>
    min_lr <= learning_rate
      ? null
      : `min_lr must be at most learning_rate: min_lr is ${min_lr}, learning_rate is ${learning_rate}`,

  ({ nnodes }) => {
    const [least, most = least] = nnodes.split(":").map(Number);
    return least <= most ? null : `nnodes must be MIN:MAX with MIN at most MAX: it is ${nnodes}`;
  },

  ({ verbose, quiet }) => verbose && quiet ? "verbose and quiet exclude each other: both are true" : null,
];

/**
 * Throws E_MODEL or E_CONFIG for the first rule between keys that `config` breaks. The rules of the built-in model
 * bind no module of the user's own, which may read its numbers otherwise.
 */
export function checkRunConfig(config: RunConfig, source: string): void {
  const groups: [ErrorCode, readonly Rule[]][] = [
    ["E_MODEL", config.model === null ? modelRules : []],
    ["E_CONFIG", runRules],
  ];
  for (const [code, rules] of groups) {
    for (const rule of rules) {
      const broken = rule(config);
      if (broken !== null) {
        throw new LockstepError(code, `Cannot use the configuration (${source}) as ${broken}`);
      }
    }
  }
}

/** True if `reflex.heads` decides anything: with concat and depth = all each earlier layer has one head. */
export function usesReflexHeads({ attention, reflex }: RunConfig): boolean {
  return attention === "reflex" && !(reflex.combine === "concat" && reflex.depth === "all");
}

function reflexHeads(config: RunConfig): string | null {
  if (!usesReflexHeads(config)) return null;
  const { n_head, reflex: { heads } } = config;
  if (heads === null) {
    return `reflex.heads must be three numbers that sum to n_head = ${n_head}: it is not set`;
  }
  const sum = heads[0] + heads[1] + heads[2];
  return sum === n_head ? null : `reflex.heads must sum to n_head = ${n_head}: [${heads}] sums to ${sum}`;
}

function reflexTopK(config: RunConfig): string | null {
  const { attention, reflex: { combine, top_k } } = config;
  if (attention !== "reflex" || combine !== "top_k") return null;
  const most = mostEarlierLayers(config);
  const given = top_k === null ? "it is not set" : `it is ${top_k}`;
  if (most === 0) return `reflex.combine = top_k needs a block with an earlier layer: no block has one`;
  if (top_k !== null && top_k <= most) return null;
  return `reflex.top_k must be from 1 to ${most}, the most earlier layers that a block sees: ${given}`;
}

/** The largest number of earlier layers that a block with Reflex attention sees. */
function mostEarlierLayers({ n_layer, reflex: { depth, layers } }: RunConfig): number {
  const last = layers === "all" ? n_layer - 1 : Math.max(...layers);
  return depth === "all" ? last : Math.min(depth, last);
}
