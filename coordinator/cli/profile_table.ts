import type { OperatorTime } from "../../worker/engines/onnx_profile.ts";

/** Operators that take less are summed up in one line. */
const LEAST_SHARE = 0.005;

/** What `bench step --profile` prints: each operator's share of the steps, GFLOP/s of products, GB/s; and what is no operator's. */
export function profileTable(
  operators: readonly OperatorTime[],
  { steps, ms }: { steps: number; ms: number },
): string {
  const large = operators.filter((operator) => operator.ms >= LEAST_SHARE * ms);
  const small = operators.filter((operator) => operator.ms < LEAST_SHARE * ms);
  const outside = ms - operators.reduce((sum, operator) => sum + operator.ms, 0);
  const rest = { calls: 0, flops: 0, bytes: 0 };
  const rows = [
    ...large,
    ...(small.length === 0
      ? []
      : [small.reduce(joined, { operator: `${small.length} others`, ms: 0, ...rest })]),
    { operator: "outside the program", ms: outside, ...rest },
  ].map(({ operator, calls, ms: took, flops, bytes }) => [
    operator,
    calls === 0 ? "" : (calls / steps).toFixed(0),
    (took / steps).toFixed(3),
    `${(100 * took / ms).toFixed(1)} %`,
    flops === 0 ? "" : (flops / took / 1e6).toFixed(1),
    bytes === 0 ? "" : (bytes / took / 1e6).toFixed(1),
  ]);
  const table = [["operator", "calls", "ms a step", "share", "GFLOP/s", "GB/s"], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table.map(([name, ...cells]) =>
    [name.padEnd(widths[0]), ...cells.map((cell, i) => cell.padStart(widths[i + 1]))].join("  ").trimEnd()
  ).join("\n");
}

function joined(all: OperatorTime, { calls, ms, flops, bytes }: OperatorTime): OperatorTime {
  return {
    operator: all.operator,
    calls: all.calls + calls,
    ms: all.ms + ms,
    flops: all.flops + flops,
    bytes: all.bytes + bytes,
  };
}
