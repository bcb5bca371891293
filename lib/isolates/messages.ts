/** What an edge is told, and what goes between its isolate and its supervisor. */
import type { AccessSettings } from "../auth/access.ts";
import type { Downward, Readers, Upward } from "../bus/bus.ts";
import type { Counts } from "../observability/counters.ts";
import type { Limits } from "../config/limits.ts";
import type { Level } from "../config/config.ts";

/** What an edge is told; it goes between isolates. */
export interface EdgeSettings {
  /** The log's file. */
  readonly log: string;
  readonly access: AccessSettings;
  readonly limits: Limits;
  /** What its sockets may hold before each is sent little at once, in bytes. */
  readonly held: number;
  readonly host: string;
  readonly port: number;
  /** The certificate and its key, in PEM. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** A socket in the file system, in the place of the port. */
  readonly unix: string | undefined;
  readonly origins: readonly string[];
  readonly trustProxy: boolean;
  /** Whether only loopback names are served. */
  readonly localOnly: boolean;
  /** A folder of the user's pages. */
  readonly pages: string | undefined;
}

/** How an edge leaves. */
export interface Farewell {
  /** Over how many milliseconds its clients are told at most; 0: all in one turn. */
  readonly spread: number;
  /** After how many milliseconds they may come back at the earliest; those that were told first wait longer. */
  readonly retry: number;
  /** Whether nothing is waited for: what sockets hold has to be free. */
  readonly cut?: boolean;
  /** Whether its isolate goes on without it: connections that didn't end would stay, and nobody would know of them. */
  readonly stays?: boolean;
}

/** How a whole server leaves: no storm when it goes, and none when it comes back. */
export const LEAVE_ALL: Farewell = { spread: 5000, retry: 1000 };

/** How one edge of several leaves: the others have room, and its clients shall hardly notice. */
export const LEAVE_ONE: Farewell = { spread: 0, retry: 100 };

/** How the only edge leaves for another in its isolate. */
export const LEAVE_WITHIN: Farewell = { ...LEAVE_ONE, stays: true };

/** How an edge leaves for the sake of what it holds. */
export const CUT_ONE: Farewell = { ...LEAVE_ONE, cut: true };

/** What an edge's isolate is started with. */
export interface WorkerStart {
  readonly settings: EdgeSettings;
  /** The BroadcastChannel's name. */
  readonly channel: string;
  /** The last post and the last record before it took part. */
  readonly number: number;
  readonly seq: number;
  /** Which edge it is. */
  readonly edge: number;
  /** The least that is logged; nothing where it isn't given. */
  readonly logLevel: Level | undefined;
}

/** What an edge's isolate posts to its supervisor. */
export type FromWorker =
  | { readonly kind: "bus"; readonly message: Upward }
  | { readonly kind: "serving"; readonly port: number }
  | { readonly kind: "beat"; readonly counts: Counts }
  /** Somebody asks it for the numbers of the whole process. */
  | { readonly kind: "metrics"; readonly id: number }
  | { readonly kind: "readers"; readonly ask: number; readonly readers: Readers }
  | { readonly kind: "left" }
  /** It can't serve; it ends by itself. */
  | { readonly kind: "failed"; readonly sentence: string };

/** What its supervisor posts to it. */
export type ToWorker =
  | { readonly kind: "bus"; readonly message: Downward }
  | { readonly kind: "metrics"; readonly id: number; readonly text: string }
  | { readonly kind: "level"; readonly level: Level }
  | { readonly kind: "refuse" }
  /** Asks for the channels that are read there. */
  | { readonly kind: "readers"; readonly ask: number }
  /** What access goes by from now on. */
  | { readonly kind: "access"; readonly access: AccessSettings }
  /** Others are muted now; the log says who. */
  | { readonly kind: "mutes" }
  | { readonly kind: "leave"; readonly farewell: Farewell };
