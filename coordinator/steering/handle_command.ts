import { LockstepError } from "../../shared/errors.ts";
import {
  type Command,
  decodeCommand,
  encodeSteering,
  type Status,
} from "../../shared/protocol/steering_messages.ts";
import type { Steering } from "./steering.ts";
import { steeringCommand } from "./steering_commands.ts";

export interface HandleOptions {
  readonly steering: Steering;
  /** Writes a line of the run's log. */
  note(event: string, fields: Record<string, unknown>): void;
}

/** As `handleCommand`, from a frame to a frame. One that is no command is refused. Never rejects. */
export async function handleFrame(
  frame: Uint8Array,
  { address, ...options }: HandleOptions & {
    /** Of another machine, to stand in the log; null on this machine. */
    readonly address: string | null;
  },
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const command = decodeCommand(frame);
    const by = address === null ? command.by : `${command.by} (${address})`;
    return encodeSteering(await handleCommand({ ...command, by }, options));
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return encodeSteering(refusal(0, error));
  }
}

/**
 * Does what `by` asks for, and notes it in the run's log: who asked for what, and why it was refused. What a console follows
 * is noted once. Never rejects.
 */
export async function handleCommand(
  { request, name, words, by, again }: Command,
  { steering, note }: HandleOptions,
): Promise<Status> {
  const noted = { by, command: [name, ...words].join(" ") };
  try {
    const command = steeringCommand(name, words);
    if (!(command.follows && again)) note("command", noted);
    const { text, value } = await command.run(words, { steering, by });
    // JSON has no NaN: a number that is not finite becomes null.
    return { type: "STATUS", request, error: null, text, value: JSON.parse(JSON.stringify(value)) };
  } catch (error) {
    note("command_refused", { ...noted, error });
    if (error instanceof LockstepError) return refusal(request, error);
    const sentence = `Cannot ${name} for an unexpected error, which the run's log.jsonl has`;
    return refusal(request, new LockstepError("E_RUN", sentence));
  }
}

const MAX_MESSAGE = 4_000; // characters, of 4,096 that a STATUS may carry

function refusal(request: number, { code, message }: LockstepError): Status {
  const error = { code, message: message.slice(0, MAX_MESSAGE) };
  return { type: "STATUS", request, error, text: "", value: {} };
}
