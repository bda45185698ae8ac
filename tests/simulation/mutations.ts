/** A change of the program's text that breaks a promise of the protocol. */
export interface Mutation {
  readonly title: string;
  readonly changes: readonly { readonly file: string; readonly from: string; readonly to: string }[];
}

const GROUP = "coordinator/group.ts";
const RECEPTION = "coordinator/reception.ts";
const ROUND = "coordinator/step_round.ts";
const WORKER = "worker/worker.ts";

/** What a simulator that is worth its name must find. */
export const MUTATIONS: readonly Mutation[] = [
  {
    title: "COMMIT before all have PREPARED",
    changes: [{
      file: ROUND,
      from: "group.ids.some((id) => !this.#prepared.has(id))",
      to: "this.#prepared.size === 0",
    }, {
      file: ROUND,
      from: "if (losses.size < V) return null;",
      to: "",
    }, {
      file: ROUND,
      from: "=> losses.get(shard) ?? NaN",
      to: "=> losses.get(shard) ?? 1",
    }],
  },
  {
    title: "COMMIT obeyed twice",
    changes: [
      {
        file: WORKER,
        from: "this.#applied !== step || prepared?.step !== step ||",
        to: "prepared?.step !== step ||",
      },
      {
        file: WORKER,
        from: "    this.#applied = step + 1;\n    this.#prepared = undefined;\n",
        to: "    this.#applied = step + 1;\n",
      },
    ],
  },
  {
    title: "no fencing of sessions and generations",
    changes: [
      {
        file: RECEPTION,
        from: "if (known?.session.id !== message.session) {",
        to: "if (known === undefined) {",
      },
      { file: WORKER, from: "if (message.session !== this.#session.id && !isForAll) return;", to: "" },
      { file: "shared/protocol/session.ts", from: "if (seq !== this.#received + 1) return false;", to: "" },
      {
        file: GROUP,
        from: 'if ("generation" in report && report.generation !== this.#generation) return;',
        to: "",
      },
      {
        file: WORKER,
        from: "return epoch === this.#life.epoch && generation === this.#life.generation;",
        to: "return epoch + generation > -9;",
      },
    ],
  },
  {
    title: "the nonce is not checked",
    changes: [{
      file: "tests/simulation/computation.ts",
      from: "nonce !== hex(this.#setup.nonce)",
      to: "false",
    }, {
      file: "tests/simulation/computation.ts",
      from: "this.#sums.set(`${nonce} ${step} ${attempt} ${node}`, sum);",
      to: "this.#sums.set(`${hex(this.#setup.nonce)} ${step} ${attempt} ${node}`, sum);",
    }],
  },
  {
    title: "the ledger's line after COMMIT",
    changes: [
      {
        file: ROUND,
        from: "      ledger.decide({",
        to:
          "      group.decide({ step: this.#step, gradHash, ...stepScalars(this.#step, config) });\n      ledger.decide({",
      },
    ],
  },
  {
    title: "a snapshot of pieces from different donors and steps",
    changes: [
      {
        file: WORKER,
        from: "const received = new Set<number>();",
        to: "const received = (this.options as { kept?: Set<number> }).kept ??= new Set<number>();",
      },
      {
        file: WORKER,
        from: "if (received.size === count) resolve(true);",
        to: "if (received.size === count) { received.clear(); resolve(true); }",
      },
      {
        file: GROUP,
        from: "!this.#reception.get(id)?.isAt(position)",
        to: "!this.#reception.get(id)?.isAt({ ...position, stateHash: null })",
      },
    ],
  },
  {
    title: "a step that is made again with other data",
    changes: [{
      file: WORKER,
      from: "await computing.computeStep(step.step,",
      to: "await computing.computeStep(step.step + 1000 * step.attempt,",
    }],
  },
  {
    title: "a lost COMMIT that is never repaired",
    changes: [{
      file: "shared/protocol/session.ts",
      from: "now - Math.max(oldest.sentAt, this.#idleSince) < RESEND_MS",
      to: "true",
    }],
  },
];
