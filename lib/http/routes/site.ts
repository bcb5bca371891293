/** Where the pages are, and all that they load. */
import type { Who } from "../../auth/access.ts";
import { withSession } from "../../sessions/browser_sessions.ts";
import type { Caller } from "../../auth/caller.ts";
import { notFound } from "../../web/responses.ts";
import { PAGES } from "../../site/addresses.ts";
import type { Pages } from "../../site/pages.ts";
import type { Handle, Route } from "./route.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";

const READ = ["GET", "HEAD"];

/**
 * Lists the routes of pages and of what they load.
 *
 * @param edge The context of the edge.
 * @param pages What is served.
 * @returns The routes.
 */
export function siteRoutes(edge: EdgeContext, pages: Pages): Route[] {
  const asset: Handle = async (request) =>
    await pages.asset(request, new URL(request.url).pathname) ?? notFound();
  const assets = [
    ...["/static/*", "/lib/*", "/fanfare.js", "/fanfare/*"],
    ...["/docs/:guide", "/openapi.yaml", "/asyncapi.yaml"],
  ];
  const shells = Object.entries(PAGES).map(([path, shell]): Route => ({
    path: path === "" ? "/" : `${path}{/}?`,
    methods: READ,
    handle: (request, who, caller) => page(edge, who, caller, () => pages.page(request, shell)),
  }));
  return [
    ...shells,
    ...assets.map((path): Route => ({ path, methods: READ, handle: asset })),
    { path: "/sw.js", methods: READ, handle: (request) => pages.worker(request) },
    {
      path: "/pages/*",
      methods: READ,
      handle: (request, who, caller) => {
        const name = new URL(request.url).pathname.slice("/pages/".length);
        return page(edge, who, caller, async () => await pages.own(request, name) ?? notFound());
      },
    },
  ];
}

// A page gives its browser a session, so that its sockets and forms have one.
async function page(
  edge: EdgeContext,
  who: Who,
  caller: Caller,
  serve: () => Promise<Response>,
): Promise<Response> {
  const response = await serve();
  const html = response.headers.get("content-type")?.startsWith("text/html") ?? false;
  // A program that shows a token has no use for one. Where none can be had now, the page opens all the same.
  if (html && response.ok && who.grant === undefined) {
    await withSession(edge, who, caller, response.headers);
  }
  return response;
}
