import { type Graph, sizeOf, uniformValue } from "../graph.ts";
import type { ValueId } from "../op.ts";
import { rewrite, type Rule } from "./rewrite.ts";

/** Removes what does nothing and folds what is known: identities, chains of reshapes and scalings. */
export function simplify(graph: Graph): Graph {
  return rewrite(graph, (node, inputs, to) => {
    for (const rule of RULES) {
      const outputs = rule(node, inputs, to);
      if (outputs !== undefined) return outputs;
    }
  });
}

const keepsShape: Rule = (node, [x], to) => {
  if (x === undefined) return;
  const { shape } = to.type(x);
  switch (node.op) {
    case "reshape":
      return `${node.attrs.shape}` === `${shape}` ? [x] : undefined;
    case "transpose":
      return node.attrs.perm.every((axis, i) => axis === i) ? [x] : undefined;
    case "cast":
      return node.attrs.dtype === to.type(x).dtype ? [x] : undefined;
    case "slice":
      return `${node.attrs.size}` === `${shape}` ? [x] : undefined;
    case "pad":
      return [...node.attrs.before, ...node.attrs.after].every((n) => n === 0) ? [x] : undefined;
    case "tile":
      return node.attrs.reps.every((n) => n === 1) ? [x] : undefined;
    case "concat":
      return node.inputs.length === 1 ? [x] : undefined;
    case "split":
      return node.attrs.sizes.length === 1 ? [x] : undefined;
  }
};

const chains: Rule = (node, [x], to) => {
  const inner = x === undefined ? undefined : to.producer(x);
  if (node.op === "reshape" && inner?.op === "reshape") {
    return to.add("reshape", [inner.inputs[0]], node.attrs);
  }
  if (node.op === "transpose" && inner?.op === "transpose") {
    const perm = node.attrs.perm.map((axis) => inner.attrs.perm[axis]);
    return perm.every((axis, i) => axis === i)
      ? [inner.inputs[0]]
      : to.add("transpose", [inner.inputs[0]], { perm });
  }
};

const sumOfNothing: Rule = (node, [x], to) => {
  if (node.op !== "reduceSum" && node.op !== "reduceMean" && node.op !== "reduceMax") return;
  const { shape } = to.type(x);
  if (!node.attrs.axes.every((axis) => shape[axis] === 1)) return;
  const result = node.attrs.keepDims ? shape : shape.filter((_, axis) => !node.attrs.axes.includes(axis));
  return to.add("reshape", [x], { shape: result });
};

const ARITHMETIC = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  div: (a: number, b: number) => a / b,
};

function isArithmetic(op: string): op is keyof typeof ARITHMETIC {
  return op in ARITHMETIC;
}

const resultShape = (to: Graph, inputs: ValueId[]) => {
  const shapes = inputs.map((id) => to.type(id).shape);
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from(
    { length: rank },
    (_, axis) => Math.max(...shapes.map((s) => s[axis - rank + s.length] ?? 1)),
  );
};

/** x + 0, x · 1, …; two uniform operands; (x · a) · b. float32 rounding of a · b is the only difference. */
const arithmetic: Rule = (node, inputs, to) => {
  if (!isArithmetic(node.op)) return;
  const [a, b] = inputs;
  const [left, right] = inputs.map((id) => uniformValue(to, id));
  const shape = resultShape(to, inputs);
  const { dtype } = to.type(a);
  if (left !== undefined && right !== undefined && dtype === "float32") {
    const value = Math.fround(ARITHMETIC[node.op](left, right));
    return to.add("fill", [], { type: { dtype, shape }, value });
  }
  const whole = (id: ValueId) => `${to.type(id).shape}` === `${shape}`;
  if (right === neutral(node.op) && whole(a)) return [a];
  if (left === neutral(node.op) && (node.op === "add" || node.op === "mul") && whole(b)) return [b];
  if (node.op === "mul" && right !== undefined && dtype === "float32") {
    const inner = to.producer(a);
    const factor = inner?.op === "mul" ? uniformValue(to, inner.inputs[1]) : undefined;
    if (inner !== undefined && factor !== undefined && whole(inner.inputs[0])) {
      return to.add("mul", [inner.inputs[0], scalar(to, Math.fround(factor * right))], {});
    }
  }
};

const neutral = (op: keyof typeof ARITHMETIC) => op === "mul" || op === "div" ? 1 : 0;

const scalar = (to: Graph, value: number) =>
  to.add("fill", [], { type: { dtype: "float32", shape: [] }, value })[0];

/** A filled tensor beside one that already has the result's shape is as good as a scalar; scalars stand second. */
const uniformToScalar: Rule = (node, inputs, to) => {
  if (!isArithmetic(node.op) || to.type(inputs[0]).dtype !== "float32") return;
  const [a, b] = inputs;
  const shape = `${resultShape(to, inputs)}`;
  const commutes = node.op === "add" || node.op === "mul";
  const left = uniformValue(to, a);
  if (left !== undefined && commutes && `${to.type(b).shape}` === shape) {
    return to.add(node.op, [b, scalar(to, left)], {});
  }
  const right = uniformValue(to, b);
  if (right !== undefined && sizeOf(to.type(b)) > 1 && `${to.type(a).shape}` === shape) {
    return to.add(node.op, [a, scalar(to, right)], {});
  }
};

const RULES: Rule[] = [keepsShape, chains, sumOfNothing, arithmetic, uniformToScalar];
