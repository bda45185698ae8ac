import { LockstepError } from "../errors.ts";
import { loadLibzmq } from "./libzmq.ts";
import type { SocketOptions } from "./socket_options.ts";

/** A key pair of CurveZMQ (Curve25519); both are 32 bytes written as 40 characters of Z85. */
export interface KeyPair {
  readonly publicKey: string;
  readonly secretKey: string;
}

const KEY_CHARACTERS = 40;
const Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/** Makes a new key pair. Throws `LockstepError` E_ZMQ if libzmq cannot be loaded. */
export function makeKeyPair(): KeyPair {
  const publicKey = new Uint8Array(KEY_CHARACTERS + 1), secretKey = new Uint8Array(KEY_CHARACTERS + 1);
  if (loadLibzmq().zmq_curve_keypair(publicKey, secretKey) !== 0) {
    throw new LockstepError("E_ZMQ", "Cannot make keys as this build of libzmq has no CURVE");
  }
  return { publicKey: textOf(publicKey), secretKey: textOf(secretKey) };
}

/** The public key that belongs to a secret one. Throws E_KEY, without the key, for a text that is none. */
export function publicKeyOf(secretKey: string): string {
  const publicKey = new Uint8Array(KEY_CHARACTERS + 1);
  const secret = new TextEncoder().encode(`${secretKey}\0`);
  if (isKey(secretKey) && loadLibzmq().zmq_curve_public(publicKey, secret) === 0) return textOf(publicKey);
  throw new LockstepError("E_KEY", `Cannot use a secret key that is not ${KEY_CHARACTERS} characters of Z85`);
}

/** True for a text that has the form of a key: 40 characters of Z85 that stand for 32 bytes. */
export function isKey(text: string): boolean {
  if (text.length !== KEY_CHARACTERS) return false;
  for (let at = 0; at < KEY_CHARACTERS; at += 5) {
    let value = 0;
    for (const character of text.slice(at, at + 5)) {
      const digit = Z85.indexOf(character);
      if (digit < 0) return false;
      value = value * 85 + digit;
    }
    if (value > 0xffffffff) return false;
  }
  return true;
}

/** Z85 of `bytes`, whose number must divide by 4 (rfc.zeromq.org/spec/32). */
export function encodeZ85(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let at = 0; at < bytes.byteLength; at += 4) {
    let value = view.getUint32(at);
    let group = "";
    for (let digit = 0; digit < 5; digit++, value = Math.floor(value / 85)) group = Z85[value % 85] + group;
    text += group;
  }
  return text;
}

/**
 * Options of a socket that is bound and admits only keys for which the context's ZAP handler says so, asked under
 * `domain`. Without that handler nobody is admitted.
 */
export function curveServer({ secretKey }: KeyPair, { domain }: { domain: string }): SocketOptions {
  return { curveServer: true, curveSecretKey: secretKey, zapDomain: domain, zapEnforceDomain: true };
}

/** Options of a socket that connects as `own` and talks only to the owner of `serverKey`. */
export function curveClient({ publicKey, secretKey }: KeyPair, serverKey: string): SocketOptions {
  return { curvePublicKey: publicKey, curveSecretKey: secretKey, curveServerKey: serverKey };
}

function textOf(zeroTerminated: Uint8Array): string {
  return new TextDecoder().decode(zeroTerminated.subarray(0, KEY_CHARACTERS));
}
