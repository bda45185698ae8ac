import { encodeZ85 } from "./curve.ts";
import type { Context, Frame, Socket } from "./socket.ts";

/** A connection that asks to be admitted. */
export interface ZapRequest {
  /** Of the socket that was connected to. */
  readonly domain: string;
  /** As in `MessageSource`. */
  readonly address: string;
  /** The key that the peer has proved to own, in Z85; null where the socket asks for none. */
  readonly publicKey: string | null;
}

/**
 * Decides about a connection: the user id that its messages will carry (`MessageSource.userId`, printable ASCII), or
 * null to refuse it. Must not throw.
 */
export type Admit = (request: ZapRequest) => string | null;

const ENDPOINT = "inproc://zeromq.zap.01"; // where libzmq asks
const VERSION = "1.0";
/** Frames of a request before the credentials. */
const LEADING_FRAMES = 6;
const PUBLIC_KEY_BYTES = 32;
const EMPTY: Frame = new Uint8Array(0);

/**
 * Answers libzmq's questions who may connect (rfc.zeromq.org/spec/27). One for each context, opened before its sockets
 * are bound. Whoever owns it polls `socket` and calls `answer`; connections wait meanwhile.
 */
export class ZapHandler {
  /** Becomes readable with each question; for a `Poller`. */
  readonly socket: Socket;

  constructor(context: Context, private readonly admit: Admit) {
    this.socket = context.socket("rep", { linger: 0 });
    this.socket.bind(ENDPOINT);
  }

  /** Answers what has been asked. */
  answer(): void {
    for (let frames = this.socket.tryReceive(); frames !== null; frames = this.socket.tryReceive()) {
      this.socket.trySend(answerZap(frames, this.admit));
    }
  }
}

/**
 * The reply to one request, both as they are on the wire. Whatever is not a complete request of version 1.0, with a key or
 * with no credentials at all, is refused without asking `admit`.
 */
export function answerZap(frames: readonly Frame[], admit: Admit): Frame[] {
  const request = parse(frames);
  const userId = request === null ? null : admit(request);
  const [code, text] = userId === null ? ["400", "not admitted"] : ["200", "OK"];
  return [encode(VERSION), frames[1] ?? EMPTY, encode(code), encode(text), encode(userId ?? ""), EMPTY];
}

function parse(frames: readonly Frame[]): ZapRequest | null {
  const [version, , domain, address, , mechanism, ...credentials] = frames;
  if (frames.length < LEADING_FRAMES || decode(version) !== VERSION) return null;
  const about = { domain: decode(domain), address: decode(address) };
  const [key] = credentials;
  switch (decode(mechanism)) {
    case "NULL":
      return credentials.length === 0 ? { ...about, publicKey: null } : null;
    case "CURVE":
      if (credentials.length !== 1 || key.byteLength !== PUBLIC_KEY_BYTES) return null;
      return { ...about, publicKey: encodeZ85(key) };
    default:
      return null;
  }
}

function encode(text: string): Frame {
  return new TextEncoder().encode(text);
}

function decode(bytes: Frame): string {
  return new TextDecoder().decode(bytes);
}
