import assert from "node:assert/strict";
import { profileTable } from "../../../coordinator/cli/profile_table.ts";

Deno.test("profileTable() shows shares of all the time, sums up what is small, and says what no operator took", () => {
  const operators = [
    { operator: "MatMul", calls: 4, ms: 60, flops: 6e8, bytes: 6e7 },
    { operator: "Add", calls: 2, ms: 30, flops: 0, bytes: 3e8 },
    { operator: "Cos", calls: 2, ms: 0.25, flops: 0, bytes: 0 },
    { operator: "Sin", calls: 2, ms: 0.25, flops: 0, bytes: 0 },
  ];
  assert.equal(
    profileTable(operators, { steps: 2, ms: 100 }),
    [
      "operator             calls  ms a step   share  GFLOP/s  GB/s",
      "MatMul                   2     30.000  60.0 %     10.0   1.0",
      "Add                      1     15.000  30.0 %           10.0",
      "2 others                 2      0.250   0.5 %",
      "outside the program             4.750   9.5 %",
    ].join("\n"),
  );
});
