/** The first demo's two sockets, as its clients know them (demo-protocol.md). */
import type { Who } from "../auth/access.ts";
import { DEMO_PUSH, DEMO_ROOM } from "../protocol/channel.ts";
import type { Member, PresenceDelta, Roster } from "../protocol/presence.ts";
import { recordAuthor } from "../channels/accounts.ts";
import { type DirectPlaces, DirectReceipt } from "./demo_receipts.ts";
import { CommandRates } from "./command_rates.ts";
import type { Connection } from "../delivery/connection.ts";
import { GREETING, greetingFrame, listFrame } from "../codecs/demo_chat.ts";
import type { EdgeContext, Session } from "./edge_context.ts";

/** The newest list is told at most this often, in milliseconds: four times a second. */
export const LIST_PAUSE = 250;

/**
 * Lets a client of `/link/` receive every push from now on.
 *
 * @param connection The client's.
 * @param edge The context of the edge.
 * @returns Its session: whatever it says means nothing.
 */
export function firstPushSession(connection: Connection, edge: EdgeContext): Session {
  connection.cursor.subscribe(DEMO_PUSH, edge.hub.seq);
  return { receive: () => {} };
}

/** Who is online in the demo's room, as this edge knows it; shared by all its `/chat/` clients. */
export class OnlineList {
  readonly #edge: EdgeContext;
  readonly #behind = new Set<FirstChatSession>();
  #accounts = new Set<string>();
  #version = -1;
  #stale = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param edge The context of the edge. */
  constructor(edge: EdgeContext) {
    this.#edge = edge;
  }

  /** The accounts, at most 1,000. */
  get accounts(): readonly string[] {
    return [...this.#accounts];
  }

  /**
   * Takes the whole list.
   *
   * @param roster From the core.
   */
  replace(roster: Roster): void {
    if (roster.version < this.#version) return;
    this.#version = roster.version;
    const members: Member[] = JSON.parse(roster.list);
    this.#accounts = new Set(members.map(({ account }) => account));
  }

  /**
   * Takes a change, and has it told to a client.
   *
   * @param delta What changed; each of the clients brings it, the first counts.
   * @param session Who is to be told.
   */
  change(delta: PresenceDelta, session: FirstChatSession): void {
    if (delta.version > this.#version) this.#apply(delta);
    this.#behind.add(session);
    this.#timer ??= setTimeout(() => this.#refresh(), LIST_PAUSE);
  }

  /**
   * A client has gone.
   *
   * @param session Who.
   */
  forget(session: FirstChatSession): void {
    this.#behind.delete(session);
  }

  #apply(delta: PresenceDelta): void {
    // Without lists, or after a hole, only the whole list helps; it is asked for when it is told next.
    this.#stale ||= delta.version > this.#version + 1 || delta.joined === undefined;
    this.#version = delta.version;
    for (const account of delta.left ?? []) this.#accounts.delete(account);
    for (const { account } of delta.joined ?? []) this.#accounts.add(account);
    this.#stale ||= this.#accounts.size !== delta.count;
  }

  #refresh(): void {
    if (!this.#stale) return this.#tell();
    this.#stale = false;
    this.#edge.bus.send({ op: "roster", channel: DEMO_ROOM }, (answer) => {
      if (answer !== null && "roster" in answer) this.replace(answer.roster);
      this.#tell();
    });
  }

  #tell(): void {
    this.#timer = undefined;
    const accounts = this.accounts;
    const sessions = [...this.#behind];
    this.#behind.clear();
    let shared: string | undefined;
    for (const session of sessions) {
      const own = this.#accounts.has(session.account);
      const frame = own
        ? shared ??= listFrame(accounts, session.account)
        : listFrame(accounts, session.account);
      if (!session.connection.tell(frame) && session.connection.open) this.#behind.add(session);
    }
    if (this.#behind.size > 0) this.#timer = setTimeout(() => this.#refresh(), LIST_PAUSE);
  }
}

/** A client of `/chat/`. */
export class FirstChatSession implements Session {
  readonly #edge: EdgeContext;
  readonly #list: OnlineList;
  readonly #places: DirectPlaces;
  #receipt: DirectReceipt | undefined;
  #state: "silent" | "joining" | "joined" = "silent";
  #who: Who;
  #rates: CommandRates | undefined;

  /**
   * @param connection The client's.
   * @param who Whoever it is.
   * @param edge The context of the edge.
   * @param list Who is online.
   * @param places The places of all accounts in their direct messages.
   */
  constructor(
    readonly connection: Connection,
    who: Who,
    edge: EdgeContext,
    list: OnlineList,
    places: DirectPlaces,
  ) {
    this.#edge = edge;
    this.#who = who;
    this.#list = list;
    this.#places = places;
    connection.onPresence = (delta) => list.change(delta, this);
    connection.onEnd = () => this.#end();
  }

  /** Its account, once it has joined. */
  get account(): string {
    return this.#who.account ?? "";
  }

  /** @param frame `test` joins; all else is ignored. */
  receive(frame: string): void {
    if (frame !== GREETING || this.#state === "joining") return;
    if (this.#state === "joined") return this.#greetAgain();
    this.#state = "joining";
    void recordAuthor(this.#edge, this.#who, this.connection.origin).then((who) => {
      if ("code" in who || who.account === null) this.#state = "silent";
      else if (this.connection.open) this.#join(who);
    }).catch((error) => this.connection.fail(error));
  }

  // Its protocol has no refusals: over the rate of refused commands it gets no list.
  #greetAgain(): void {
    this.#rates ??= new CommandRates(this.connection, this.#edge);
    const over = this.#rates.take("refusals", this.#who.account);
    if (over !== undefined) {
      return this.#rates.punish(this.#rates.count(over, this.#who.account));
    }
    // At most one greeting waits: asking again and again gains nothing.
    if (this.connection.waiting === 0) this.#greet();
  }

  #join(who: Who): void {
    this.#who = who;
    this.#edge.expiry.hold(this.connection, who);
    const { bus } = this.#edge;
    const { account, connection } = this;
    bus.send(
      { op: "join", channel: DEMO_ROOM, account, connection: connection.id, watch: true },
      (answer) => {
        if (answer === null || !("roster" in answer)) return;
        this.#list.replace(answer.roster);
        if (!connection.open) return;
        connection.watch(DEMO_ROOM, answer.roster.version);
        this.#greet();
        connection.answer(() => {
          this.#receiveAll();
          return undefined;
        });
      },
    );
    this.#state = "joined";
  }

  #greet(): void {
    this.connection.answer(() => greetingFrame(this.#list.accounts, this.account));
  }

  // Direct messages that came while the account was away are sent now; the room begins with what follows.
  #receiveAll(): void {
    const { hub } = this.#edge;
    const { account, connection } = this;
    connection.cursor.subscribe(DEMO_ROOM, hub.seq);
    this.#receipt = new DirectReceipt(connection, account, hub, this.#places);
  }

  #end(): void {
    this.#list.forget(this);
    if (this.#state !== "joined") return;
    const { bus } = this.#edge;
    const { account } = this;
    bus.send({ op: "leave", channel: DEMO_ROOM, account, connection: this.connection.id });
    this.#receipt?.close();
  }
}
