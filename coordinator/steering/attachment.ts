import { hostname } from "node:os";
import { LockstepError } from "../../shared/errors.ts";
import type { CoordinatorServer } from "../../shared/protocol/channel.ts";
import { createIpcDirectory, type IpcDirectory } from "../../shared/zmq/ipc_directory.ts";
import { type AttachFile, removeAttachFile, writeAttachFile } from "./attach_file.ts";
import { handleFrame } from "./handle_command.ts";
import type { RunSteering } from "./run_steering.ts";
import { openSteeringServer, type SteeringServer } from "./steering_server.ts";

export interface AttachmentOptions {
  readonly runDir: string;
  /** The run's members: over the network, admins come where workers come. */
  readonly crew: { readonly server: CoordinatorServer; readonly sockets: IpcDirectory | null };
  /** Writes a line of the run's log. */
  note(event: string, fields: Record<string, unknown>): void;
}

/**
 * Lets people steer a run of this process: those of this user on this machine, and admins over the network. A run without
 * --allow-ffi, or that finds no place for the socket or its attach.json, goes on without, and notes why.
 */
export class Attachment {
  #opening: Promise<void> | null = null;
  #server: SteeringServer | null = null;
  #file: AttachFile | null = null;
  #own: IpcDirectory | null = null;

  constructor(private readonly steering: RunSteering, private readonly options: AttachmentOptions) {}

  /** Opens the socket and says where it is. Opening again does nothing. */
  open(): Promise<void> {
    return this.#opening ??= this.#open();
  }

  /** Refuses those who still wait, and takes all back, also what is only being opened. */
  async close(): Promise<void> {
    this.steering.end();
    await this.#opening;
    this.options.crew.server.onAdmin = undefined;
    if (this.#file !== null) await removeAttachFile(this.options.runDir, this.#file);
    await this.#server?.close();
    this.#own?.remove();
    this.#file = this.#server = this.#own = null;
  }

  async #open(): Promise<void> {
    const { runDir, crew, note } = this.options;
    if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
      return note("not_attachable", { reason: "--allow-ffi is not given" });
    }
    const handle = (frame: Uint8Array, { address }: { address: string | null }) =>
      handleFrame(frame, { steering: this.steering, note, address });
    crew.server.onAdmin = handle;
    try {
      const sockets = crew.sockets ?? (this.#own = createIpcDirectory());
      const endpoint = sockets.endpoint("steering");
      this.#server = await openSteeringServer({
        endpoint,
        handle: (frame) => handle(frame, { address: null }),
      });
      this.#file = { endpoint, pid: Deno.pid, host: hostname() };
      await writeAttachFile(runDir, this.#file);
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      note("not_attachable", { error });
    }
  }
}
