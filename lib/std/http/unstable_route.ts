/**
 * A route table: a list of patterns, methods and handlers, looked at from the top.
 *
 * @module
 */

/** Answers a request, as {@linkcode Deno.serve} calls it. */
export type RequestHandler = (
  request: Request,
  info?: Deno.ServeHandlerInfo,
) => Response | Promise<Response>;

/** Answers a request whose URL matched a pattern; gets the match too. */
export type Handler = (
  request: Request,
  params: URLPatternResult,
  info?: Deno.ServeHandlerInfo,
) => Response | Promise<Response>;

/** One line of the route table. */
export interface Route {
  /** What the request's URL must match. */
  pattern: URLPattern;
  /** The method or methods, in either case; every method if it is left out. */
  method?: string | string[];
  /** What answers. */
  handler: Handler;
}

/**
 * Makes one handler of a route table. The first route that fits method and URL answers.
 *
 * @param routes The routes, in the order in which they are tried.
 * @param defaultHandler What answers when none fits.
 * @returns A handler for {@linkcode Deno.serve}.
 */
export function route(routes: Route[], defaultHandler: RequestHandler): RequestHandler {
  return (request, info) => {
    for (const { pattern, method, handler } of routes) {
      if (!allows(method, request.method)) continue;
      const params = pattern.exec(request.url);
      if (params) return handler(request, params, info);
    }
    return defaultHandler(request, info);
  };
}

function allows(allowed: string | string[] | undefined, method: string): boolean {
  if (!allowed) return true;
  return [allowed].flat().some((name) => name.toUpperCase() === method);
}
