import { extname, join } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".json": "application/json",
};

/** Serves the files of `folder` on this machine as a plain static host does; `await using` ends it. */
export function serveFolder(folder: string): AsyncDisposable & { readonly url: string } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const path = join(folder, pathname === "/" ? "index.html" : pathname);
    const type = TYPES[extname(path)] ?? "application/octet-stream";
    const body = await Deno.readFile(path).catch(() => null);
    return body === null
      ? new Response(null, { status: 404 })
      : new Response(body, { headers: { "content-type": type } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
