import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs";
import { appendWhole } from "../../shared/append_whole.ts";
import { fileError } from "../../shared/files.ts";
import { crc32c } from "./crc32c.ts";

/** The part of TensorFlow's event.proto, summary.proto and tensor.proto, and of TensorBoard's hparams, that is written. */
const SCHEMA = `
syntax = "proto3";
message Event {
  double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; SessionLog session_log = 7;
}
message SessionLog { int32 status = 1; }
message Summary { repeated Value value = 1; }
message Value {
  string tag = 1; Metadata metadata = 9; oneof value { float simple_value = 2; Tensor tensor = 8; }
}
message Metadata { PluginData plugin_data = 1; int32 data_class = 4; }
message PluginData { string plugin_name = 1; bytes content = 2; }
message Tensor { int32 dtype = 1; Shape tensor_shape = 2; repeated float float_val = 5; repeated bytes string_val = 8; }
message Shape { repeated Dim dim = 2; }
message Dim { int64 size = 1; }
message HParams { SessionStart session_start_info = 3; SessionEnd session_end_info = 4; }
message SessionStart { map<string, HParam> hparams = 1; double start_time_secs = 5; }
message SessionEnd { int32 status = 1; double end_time_secs = 2; }
message HParam { oneof kind { double number_value = 2; string string_value = 3; bool bool_value = 4; } }
`;

const DTYPE = { float: 1, string: 7 } as const;
const TENSOR_CLASS = 2;
/** SessionLog.START: what stood at this step and after it, in this file or another, is not shown any more. */
const START = 1;
const STATUS = { finished: 1, stopped: 0 } as const;

const NAME = /^events\.out\.tfevents\.\d+\.[^/]*\.lockstep$/;

/** A hyper-parameter, as TensorBoard's table of runs shows it. */
export type HParam = number | string | boolean;

/**
 * TensorBoard's file of a run, in the run's folder: `events.out.tfevents.SECONDS.HOST.PID.lockstep`. Each record is there
 * whole or not at all. Throws E_NO_SPACE and E_OUT_DIR where it cannot be written.
 */
export class EventFile implements Disposable {
  readonly #types = protobuf.parse(SCHEMA, { keepCase: true }).root;
  readonly #file: Deno.FsFile;
  #bytes = 0;

  private constructor(readonly path: string) {
    try {
      this.#file = Deno.openSync(path, { append: true, createNew: true });
    } catch (error) {
      throw fileError(error, `create ${path}`);
    }
  }

  /** Begins a file in `folder` in place of those that earlier starts of the run have left there. */
  static create(folder: string): EventFile {
    for (const { name } of [...Deno.readDirSync(folder)]) if (NAME.test(name)) retire(join(folder, name));
    const pathAt = (seconds: number) =>
      join(folder, `events.out.tfevents.${seconds}.${hostname()}.${Deno.pid}.lockstep`);
    let seconds = Math.floor(now());
    while (existsSync(pathAt(seconds))) seconds++; // of this process too, within the same second
    const file = new EventFile(pathAt(seconds));
    file.#append({ wall_time: now(), file_version: "brain.Event:2" });
    file.#append({ wall_time: now(), step: 0, session_log: { status: START } });
    return file;
  }

  /** `time` is in seconds since 1970. */
  scalars(values: Iterable<readonly [tag: string, value: number]>, at: { step: number; time: number }): void {
    const value = [...values].map(([tag, simple_value]) => ({ tag, simple_value }));
    if (value.length > 0) this.#append({ wall_time: at.time, step: at.step, summary: { value } });
  }

  /** Texts are shown as they are, in a fixed pitch: nothing in them is taken for Markdown or HTML. */
  texts(tag: string, texts: readonly string[], at: { step: number; time: number }): void {
    const tensor = {
      dtype: DTYPE.string,
      tensor_shape: { dim: [{ size: texts.length }] },
      string_val: texts.map((text) => new TextEncoder().encode(asCodeBlock(text))),
    };
    this.#summary({ tag, tensor, plugin: { plugin_name: "text" } }, at);
  }

  /** What the run was started with. */
  hparams(values: ReadonlyMap<string, HParam>): void {
    const hparams = Object.fromEntries([...values].map(([name, value]) => [name, hparam(value)]));
    this.#session("_hparams_/session_start_info", {
      session_start_info: { hparams, start_time_secs: now() },
    });
  }

  /** How it ended. */
  ended(how: keyof typeof STATUS): void {
    this.#session("_hparams_/session_end_info", {
      session_end_info: { status: STATUS[how], end_time_secs: now() },
    });
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #session(tag: string, info: object): void {
    const content = this.#encode("HParams", info);
    const tensor = { dtype: DTYPE.float, tensor_shape: { dim: [{ size: 1 }] }, float_val: [0] };
    this.#summary({ tag, tensor, plugin: { plugin_name: "hparams", content } }, { step: 0, time: now() });
  }

  #summary(
    { tag, tensor, plugin }: { tag: string; tensor: object; plugin: object },
    { step, time }: { step: number; time: number },
  ): void {
    const metadata = { plugin_data: plugin, data_class: TENSOR_CLASS };
    this.#append({ wall_time: time, step, summary: { value: [{ tag, tensor, metadata }] } });
  }

  #encode(type: "Event" | "HParams", message: object): Uint8Array {
    return this.#types.lookupType(type).encode(message).finish();
  }

  /** A record: length, its CRC, the event, its CRC. */
  #append(event: object): void {
    const data = this.#encode("Event", event);
    const record = new Uint8Array(8 + 4 + data.length + 4);
    const view = new DataView(record.buffer);
    view.setBigUint64(0, BigInt(data.length), true);
    view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
    record.set(data, 12);
    view.setUint32(12 + data.length, maskedCrc(data), true);
    try {
      appendWhole(this.#file, record, { size: this.#bytes });
      this.#bytes += record.length;
    } catch (error) {
      throw fileError(error, `append to ${this.path}`);
    }
  }
}

/** TensorBoard goes on from a file that it reads to the next one only while that file is there: first it is emptied, then removed. */
function retire(path: string): void {
  try {
    if (Deno.statSync(path).size === 0) Deno.removeSync(path);
    else Deno.truncateSync(path);
  } catch (error) {
    throw fileError(error, `replace ${path}`);
  }
}

/** As TFRecord has it, so that a CRC of data that holds CRCs stays a good one. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function hparam(value: HParam): object {
  if (typeof value === "number") return { number_value: value };
  return typeof value === "boolean" ? { bool_value: value } : { string_value: value };
}

/** Markdown shows lines that begin with four spaces as they are. */
function asCodeBlock(text: string): string {
  return text.split("\n").map((line) => `    ${line}`).join("\n");
}

function now(): number {
  return Date.now() / 1000;
}
