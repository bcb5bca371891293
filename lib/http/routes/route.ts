/** One route of the HTTP interface: its path, its methods and its handler. */
import type { Who } from "../../auth/access.ts";
import type { Caller } from "../../auth/caller.ts";

/** What a request is answered by. */
export type Handle = (
  request: Request,
  who: Who,
  caller: Caller,
  /** What stands in the places of the path, decoded. */
  places: Readonly<Record<string, string>>,
) => Response | Promise<Response>;

/** One line of the route table. */
export interface Route {
  /** As in URLPattern. */
  readonly path: string;
  readonly methods: readonly string[];
  readonly handle: Handle;
}
