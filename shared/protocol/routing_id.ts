const TOKEN_BYTES = 16;
const ROUTING_ID = /^([A-Za-z0-9._-]{1,128})\/[0-9a-f]{32}$/;

/**
 * The name under which a socket speaks: a member's id, and 128 random bits that are this process's alone. By them a
 * coordinator tells a member that has connected again from another one that took its id.
 */
export function makeRoutingId(id: string): string {
  return `${id}/${crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)).toHex()}`;
}

/** The member's id in a routing id; null for any other text. */
export function memberIdOf(routingId: string): string | null {
  return ROUTING_ID.exec(routingId)?.[1] ?? null;
}
