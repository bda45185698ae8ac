const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
const ROOT = 0;

/**
 * Whether the other end of a connection over loopback belongs to this user, or to root, as Linux's table of connections
 * says. A system without that table has no way to tell: then it does.
 */
export async function isOwnConnection(peer: Deno.Addr, port: number): Promise<boolean> {
  if (peer.transport !== "tcp") return true;
  const tables = await Promise.all(TABLES.map((path) => Deno.readTextFile(path).catch(() => "")));
  if (tables.every((table) => table === "")) return true;
  const owner = ownerOf(tables.join("\n"), { from: peer.port, to: port });
  return owner === ROOT || owner === Deno.uid();
}

/** The user of the socket whose own port is `from` and whose peer's is `to`; null where the tables have none. */
export function ownerOf(table: string, { from, to }: { from: number; to: number }): number | null {
  for (const line of table.split("\n")) {
    const [, local, remote, , , , , uid] = line.trim().split(/\s+/);
    if (uid !== undefined && portOf(local) === from && portOf(remote) === to) return Number(uid);
  }
  return null;
}

/** Of `0100007F:1F90`. */
function portOf(address: string): number {
  return Number.parseInt(address.slice(address.lastIndexOf(":") + 1), 16);
}
