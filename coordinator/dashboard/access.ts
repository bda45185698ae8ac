import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import type { PageToken } from "./page_token.ts";
import { isOwnConnection } from "./peer_user.ts";

/** What hono knows of a request besides itself. */
export interface PageEnv {
  readonly Bindings: { readonly remoteAddr: Deno.Addr };
}

export interface AccessOptions {
  /** Null for a page that this machine alone reaches. */
  readonly token: PageToken | null;
  /** Names the cookie: browsers keep those of one host together, whatever the port. */
  readonly port: number;
}

/** Names under which a browser reaches its own machine; another one that leads here is somebody's trick (DNS rebinding). */
const OWN_NAMES = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** What is shown to those who have not given the token. */
const OPEN_PATHS = new Set(["/login", "/assets/login.html", "/assets/page.css"]);

/**
 * Lets in who may look: without a token browsers of this machine, by its own names; with one, whoever gives it. No page of
 * another origin may ask for anything.
 */
export function access({ token, port }: AccessOptions): MiddlewareHandler<PageEnv> {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    const origin = c.req.header("origin");
    if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
      return refuse(c, 403, `Cannot answer a page of ${origin}`);
    }
    if (c.req.header("sec-fetch-site") === "cross-site" && c.req.path !== "/") {
      return refuse(c, 403, "Cannot answer a page of another origin");
    }
    if (token === null) {
      const [name] = /^(\[[^\]]*\]|[^:]*)/.exec(host) ?? [""];
      if (OWN_NAMES.has(name.toLowerCase())) return await next();
      return refuse(c, 421, `Cannot answer under the name ${host}: use http://127.0.0.1:${port}`);
    }
    if (OPEN_PATHS.has(c.req.path) || isKnown(c, { token, port })) return await next();
    if (c.req.path === "/") return c.redirect("/login");
    return refuse(c, 401, "Cannot answer without the page's token");
  };
}

/** Takes the token of a form, and has the browser remember it. */
export async function login(c: Context<PageEnv>, { token, port }: AccessOptions): Promise<Response> {
  const given = (await c.req.parseBody()).token;
  if (token === null || typeof given !== "string" || !token.isToken(given.trim())) {
    return refuse(c, 401, "This is not the page's token");
  }
  const options = { httpOnly: true, sameSite: "Strict", path: "/" } as const;
  setCookie(c, cookieOf(port), token.session, options);
  return c.redirect("/", 303);
}

/** Whether who asks may steer the run: every user of a machine reaches 127.0.0.1, so only who started the page, and root. */
export async function maySteer(c: Context<PageEnv>, { token, port }: AccessOptions): Promise<boolean> {
  if (token !== null) return isKnown(c, { token, port });
  return await isOwnConnection(c.env.remoteAddr, port);
}

function isKnown(c: Context<PageEnv>, { token, port }: { token: PageToken; port: number }): boolean {
  const [, bearer] = /^Bearer (\S+)$/.exec(c.req.header("authorization") ?? "") ?? [];
  if (bearer !== undefined) return token.isToken(bearer);
  const cookie = getCookie(c, cookieOf(port));
  return cookie !== undefined && token.isSession(cookie);
}

function cookieOf(port: number): string {
  return `lockstep-page-${port}`;
}

function refuse(c: Context<PageEnv>, status: 401 | 403 | 421, sentence: string): Response {
  return c.text(`${sentence}\n`, status);
}
