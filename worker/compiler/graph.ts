import { LockstepError } from "../../shared/errors.ts";
import { infer } from "./infer.ts";
import type { Op, OpAttributes, TensorType, ValueId } from "./op.ts";

/** One operation: a typed op, the values it reads and the values it makes. */
export type Node = {
  [K in Op]: {
    readonly op: K;
    readonly inputs: readonly ValueId[];
    readonly attrs: OpAttributes[K];
    readonly outputs: readonly ValueId[];
  };
}[Op];

export type NodeOf<K extends Op> = Extract<Node, { op: K }>;

/** A computation in static single assignment form; nodes stand in an order in which they can run. */
export class Graph {
  readonly types: TensorType[] = [];
  readonly inputs: { name: string; value: ValueId }[] = [];
  readonly outputs: { name: string; value: ValueId }[] = [];
  readonly nodes: Node[] = [];
  private readonly producers = new Map<ValueId, Node>();

  input(name: string, type: TensorType): ValueId {
    const value = this.value(type);
    this.inputs.push({ name, value });
    return value;
  }

  output(name: string, value: ValueId): void {
    this.outputs.push({ name, value });
  }

  /** Appends a node; its output types are inferred, and wrong inputs are an E_GRAPH. */
  add<K extends Op>(op: K, inputs: readonly ValueId[], attrs: OpAttributes[K]): ValueId[] {
    const types = infer(op, inputs.map((id) => this.type(id)), attrs);
    const outputs = types.map((type) => this.value(type));
    // The compiler cannot see that op and attrs of a generic K are one member of the union.
    const node = { op, inputs, attrs, outputs } as unknown as Node;
    this.nodes.push(node);
    for (const id of outputs) this.producers.set(id, node);
    return outputs;
  }

  /** The node that makes `value`; undefined for an input. */
  producer(value: ValueId): Node | undefined {
    return this.producers.get(value);
  }

  type(value: ValueId): TensorType {
    const type = this.types[value];
    if (type === undefined) throw new LockstepError("E_GRAPH", `Value %${value} is not defined in the graph`);
    return type;
  }

  private value(type: TensorType): ValueId {
    return this.types.push(type) - 1;
  }
}

/** How often each value is read, by nodes and as an output of the graph. */
export function countUses(graph: Graph): Map<ValueId, number> {
  const uses = new Map<ValueId, number>();
  const use = (id: ValueId) => uses.set(id, (uses.get(id) ?? 0) + 1);
  for (const node of graph.nodes) node.inputs.forEach(use);
  for (const output of graph.outputs) use(output.value);
  return uses;
}

export function sizeOf(type: TensorType): number {
  return type.shape.reduce((product, dimension) => product * dimension, 1);
}

/** The value of a scalar-like constant or fill, where every element is the same; otherwise undefined. */
export function uniformValue(graph: Graph, id: ValueId): number | undefined {
  const node = graph.producer(id);
  if (node?.op === "fill") return node.attrs.value;
  if (node?.op === "constant" && node.attrs.data.length === 1) return node.attrs.data[0];
  if (node?.op === "reshape" || node?.op === "tile") return uniformValue(graph, node.inputs[0]);
  return undefined;
}

/** Checks that nodes read only what exists before them and make each value once, of the type that is stored. */
export function verifyGraph(graph: Graph): void {
  const known = new Set(graph.inputs.map((input) => input.value));
  for (const node of graph.nodes) {
    const missing = node.inputs.find((id) => !known.has(id));
    if (missing !== undefined) {
      throw new LockstepError("E_GRAPH", `${node.op} reads %${missing} before it is made`);
    }
    const types = infer(node.op, node.inputs.map((id) => graph.type(id)), node.attrs);
    if (types.length !== node.outputs.length) {
      throw new LockstepError(
        "E_GRAPH",
        `${node.op} stores ${node.outputs.length} results but makes ${types.length}`,
      );
    }
    node.outputs.forEach((id, i) => {
      if (known.has(id)) {
        throw new LockstepError("E_GRAPH", `${node.op} makes %${id}, which is there already`);
      }
      if (formatType(types[i]) !== formatType(graph.type(id))) {
        throw new LockstepError(
          "E_GRAPH",
          `%${id} = ${node.op} is stored as ${formatType(graph.type(id))} but makes ${formatType(types[i])}`,
        );
      }
      known.add(id);
    });
  }
  for (const { name, value } of graph.outputs) {
    if (!known.has(value)) {
      throw new LockstepError("E_GRAPH", `Output ${name} is %${value}, which nothing makes`);
    }
  }
}

/** `float32[12,64]` */
export function formatType(type: TensorType): string {
  return `${type.dtype}[${type.shape.join(",")}]`;
}

/** The graph as text, one node a line: what the tests of the passes compare. */
export function printGraph(graph: Graph): string {
  const names = new Map<ValueId, string>();
  for (const { name, value } of graph.inputs) names.set(value, name);
  const show = (id: ValueId) => {
    if (!names.has(id)) names.set(id, `%${names.size - graph.inputs.length}`);
    return names.get(id);
  };
  const lines = graph.inputs.map(({ name, value }) => `input ${name}: ${formatType(graph.type(value))}`);
  for (const node of graph.nodes) {
    const made = node.outputs.map((id) => `${show(id)}: ${formatType(graph.type(id))}`).join(", ");
    const attributes = Object.entries(node.attrs).filter(([key]) => key !== "type").map(([key, value]) =>
      `${key}=${JSON.stringify(value)}`
    );
    lines.push(`${made} = ${node.op}(${[...node.inputs.map(show), ...attributes].join(", ")})`);
  }
  for (const { name, value } of graph.outputs) lines.push(`output ${name} = ${show(value)}`);
  return lines.join("\n") + "\n";
}
