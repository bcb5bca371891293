/** Session records: how they are applied, and how the core proposes accounts that stand nowhere. */
import { assertEquals } from "@std/assert";
import type { Who } from "../../../lib/auth/access.ts";
import { directBus } from "../../../lib/bus/bus.ts";
import { Core } from "../../../lib/core/core.ts";
import { Quotas } from "../../../lib/core/quotas.ts";
import { localSequencer } from "../../../lib/sequencer/sequencer.ts";
import { SessionRecords } from "../../../lib/core/sessions.ts";
import { admit } from "../../../lib/bus/requests.ts";
import { Connection } from "../../../lib/delivery/connection.ts";
import { CredentialExpiry } from "../../../lib/sessions/credential_expiry.ts";
import { Hub } from "../../../lib/delivery/hub.ts";
import { native } from "../../../lib/codecs/native.ts";
import { dayOf } from "../../../lib/store/accounts.ts";
import { Log } from "../../../lib/store/writer.ts";
import { Reader } from "../../../lib/store/reader.ts";
import { SESSION_DAYS } from "../../../lib/store/sessions.ts";
import type { Outcome, Proposal } from "../../../lib/protocol/message.ts";
import { openAccess } from "../../helpers/access.ts";
import { UNBOUNDED } from "../../helpers/limits.ts";
import { tempFolder } from "../../helpers/log.ts";
import { FakeSocket, until } from "../../helpers/world.ts";

const DAY = 86_400_000;
const NOON = 20_717 * DAY + DAY / 2;

const hash = (n: number) => n.toString(16).padStart(64, "0");
const session = (n: number, account: string): Proposal => ({
  kind: "session",
  hash: hash(n),
  account,
});

function withLog(
  run: (log: Log, path: string) => void | Promise<void>,
): Promise<void> {
  return (async () => {
    using folder = tempFolder();
    const path = `${folder.path}/log.db`;
    const log = new Log(path, () => "epoch");
    try {
      await run(log, path);
    } finally {
      log.close();
    }
  })();
}

function append(
  log: Log,
  proposals: readonly Proposal[],
  time = NOON,
): Outcome[] {
  const seq = log.seq + 1;
  return log.apply(proposals.map((one, i) => ({ ...one, seq: seq + i, time })))
    .outcomes;
}

const kindsOf = (socket: FakeSocket) =>
  socket.read().flatMap((frame) =>
    frame.split("\n").flatMap((line) => Object.keys(JSON.parse(line)))
  );

const told = (outcomes: readonly Outcome[]) => outcomes.map(({ session }) => session);

Deno.test("the first record of a session decides its account; one whose name stands anywhere is taken", () =>
  withLog((log) => {
    append(log, [
      { kind: "account", account: "aaaaaaaa" },
      { kind: "message", channel: "room:a", from: "bbbbbbbb", data: "1" },
      {
        kind: "message",
        channel: "dm:cccccccc.dddddddd",
        from: "cccccccc",
        data: "1",
      },
      { kind: "mute", account: "eeeeeeee", until: null },
    ]);
    const names = ["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd", "eeeeeeee"];
    assertEquals(
      told(append(log, names.map((name) => session(1, name)))),
      names.map(() => "taken" as const),
    );
    assertEquals(
      told(
        append(log, [
          session(1, "11111111"),
          session(1, "22222222"),
          session(2, "11111111"),
        ]),
      ),
      [
        { account: "11111111" },
        { account: "11111111" },
        "taken",
      ],
    );
    assertEquals(
      [log.account("11111111")?.kind, log.account("bbbbbbbb")?.kind],
      ["guest", "guest"],
    );
    assertEquals([log.account("22222222"), log.account("aaaaaaaa")?.kind], [
      undefined,
      "token",
    ]);
  }));

Deno.test("ended sessions stay ended: one, all but one, all; they go with their account, and after a year", () =>
  withLog((log) => {
    append(log, [session(1, "11111111"), session(2, "22222222")]);
    const end = (
      more: { only?: string; except?: string },
      account = "11111111",
    ) =>
      log.apply([{
        kind: "end_sessions",
        account,
        ...more,
        seq: log.seq + 1,
        time: NOON,
      }]).ended;
    assertEquals(end({ only: hash(2) }), []);
    assertEquals(end({ except: hash(1) }), []);
    const rights = log.sessions.rights();
    assertEquals(rights, 0);
    assertEquals(end({}, "22222222"), [hash(2)]);
    assertEquals(log.sessions.rights(), log.seq);
    assertEquals(end({ only: hash(1) }), [hash(1)]);
    assertEquals(told(append(log, [session(1, "33333333")])), ["ended"]);
    append(log, [session(3, "33333333")]);
    const later = NOON + 31 * DAY;
    append(log, [{
      kind: "forget",
      accounts: ["33333333"],
      before: dayOf(later),
    }], later);
    assertEquals([log.account("33333333"), log.sessions.find(hash(3))], [
      undefined,
      undefined,
    ]);
    const year = NOON + (SESSION_DAYS + 1) * DAY;
    append(log, [session(4, "44444444")], year);
    const before = dayOf(year) - SESSION_DAYS;
    assertEquals(log.sessions.idle(before), true);
    append(log, [{ kind: "trim_sessions", before }], year);
    assertEquals([1, 2, 4].map((n) => log.sessions.find(hash(n))?.account), [
      undefined,
      undefined,
      "44444444",
    ]);
  }));

Deno.test("a name that is taken, on its way, or a connected token's is never given to a newcomer", () =>
  withLog((log) => {
    append(log, [{ kind: "account", account: "aaaaaaaa" }]);
    const quotas = new Quotas(UNBOUNDED);
    quotas.admit(1, { connection: "c", address: "192.0.2.1" }, "bbbbbbbb");
    const names = [
      "aaaaaaaa",
      "bbbbbbbb",
      "cccccccc",
      "cccccccc",
      "dddddddd",
      "eeeeeeee",
    ];
    const batch: {
      proposal: Proposal;
      done: (outcome: Outcome | undefined) => void;
    }[] = [];
    const records = new SessionRecords({
      ...{
        log,
        quotas,
        now: () => 0,
        clock: () => NOON,
        crowded: () => undefined,
      },
      random: () => names.shift() ?? "aaaaaaaa",
      propose: (proposal, done) => batch.push({ proposal, done }),
    });
    const answers: unknown[] = [];
    const ask = (n: number) =>
      records.record(
        { hash: hash(n), origin: { address: "192.0.2.1" } },
        (answer) => {
          answers.push(
            answer !== null && "outcome" in answer ? answer.outcome.session : answer,
          );
        },
      );
    const write = () => {
      const written = batch.splice(0);
      append(log, written.map(({ proposal }) => proposal)).forEach((
        outcome,
        i,
      ) => written[i]?.done(outcome));
    };
    ask(1);
    ask(2);
    // Whoever comes with the same session meanwhile gets the same answer.
    ask(1);
    write();
    assertEquals(answers, [{ account: "cccccccc" }, { account: "cccccccc" }, {
      account: "dddddddd",
    }]);
    ask(3);
    // Another machine was faster.
    append(log, [session(9, "eeeeeeee")]);
    names.push("ffffffff");
    write();
    write();
    assertEquals(answers.at(-1), { account: "ffffffff" });
    // At once, without a record.
    ask(1);
    assertEquals([answers.at(-1), batch.length], [{ account: "cccccccc" }, 0]);
    ask(4);
    assertEquals(Object(answers.at(-1)).refusal.code, "unavailable");
  }));

Deno.test("ends of sessions that the bus lost are found before anything further is delivered, in steps", () =>
  withLog(async (log, path) => {
    append(log, [session(1, "11111111"), session(2, "22222222")]);
    const reader = new Reader(path);
    const { access } = await openAccess(() => NOON);
    const hub = new Hub(directBus().edge, reader, log.seq);
    const { sessions } = reader;
    const expiry = new CredentialExpiry({
      access,
      sessions,
      clock: () => NOON,
    });
    hub.rights = expiry;
    const open = (id: string, n: number, account: string | null) => {
      const socket = new FakeSocket();
      const connection = new Connection(id, socket, native, hub, "127.0.0.1");
      expiry.hold(connection, { account, admin: false, session: hash(n) });
      connection.cursor.subscribe("room:a", hub.seq);
      return { socket, connection };
    };
    const ended = [open("a", 1, "11111111"), open("b", 1, null)];
    const others = [open("c", 2, "22222222"), open("d", 3, null)];
    const word: Proposal = {
      kind: "message",
      channel: "room:a",
      from: null,
      data: "1",
    };
    append(log, [{ kind: "end_sessions", account: "11111111" }, word]);
    hub.repair(log.seq);
    for (const { connection } of ended) connection.serve();
    await until(() => ended.every(({ socket }) => socket.closed !== undefined));
    assertEquals(ended.map(({ socket }) => [socket.closed, kindsOf(socket)]), [
      [4500, ["closing"]],
      [4500, ["closing"]],
    ]);
    assertEquals(
      others.map(({ socket }) => [socket.closed, socket.read().length]),
      [
        [undefined, 1],
        [undefined, 1],
      ],
    );
    for (const { connection } of others) connection.end();
    reader.close();
  }));

Deno.test("a connection whose session or token ended on the way to its socket is closed, before anything is sent to it", () =>
  withLog(async (log, path) => {
    append(log, [session(1, "11111111"), session(2, "22222222")]);
    const reader = new Reader(path);
    const { access } = await openAccess(() => NOON);
    const hub = new Hub(directBus().edge, reader, log.seq);
    const expiry = new CredentialExpiry({ access, sessions: reader.sessions, clock: () => NOON });
    hub.rights = expiry;
    // Told to the edge before it knows the connection.
    append(log, [{ kind: "end_sessions", account: "11111111" }]);
    expiry.ended([hash(1)], log.seq);
    const grant = (ends: number) => ({ account: "ada", ends });
    const shown: Who[] = [
      { account: "11111111", admin: false, session: hash(1) },
      { account: null, admin: false, session: hash(1) },
      { account: null, admin: true, proof: "that of an older token" },
      { account: "ada", admin: false, grant: grant(NOON) },
      { account: "22222222", admin: false, session: hash(2) },
      { account: null, admin: false, session: hash(3) },
      { account: "ada", admin: false, grant: grant(NOON + 1000) },
    ];
    const opened = shown.map((who, i) => {
      const socket = new FakeSocket();
      const connection = new Connection(`c${i}`, socket, native, hub, "127.0.0.1");
      expiry.hold(connection, who);
      return { socket, connection };
    });
    // One is served first, the others aren't due anything.
    opened[0]?.connection.answer('{"id":1}');
    await until(() => opened.filter(({ socket }) => socket.closed !== undefined).length >= 4);
    assertEquals(opened.map(({ socket }) => socket.closed), [
      ...[4500, 4500, 4001, 4001],
      ...[undefined, undefined, undefined],
    ]);
    assertEquals(opened.slice(0, 2).map(({ socket }) => kindsOf(socket)), [
      ["closing"],
      ["closing"],
    ]);
    for (const { connection } of opened) {
      connection.end();
      expiry.forget(connection);
    }
  }));

Deno.test("a log that can't be read closes who has to be looked up, and nobody else", () =>
  withLog(async (log, path) => {
    const reader = new Reader(path);
    const { access } = await openAccess(() => NOON);
    const hub = new Hub(directBus().edge, reader, log.seq);
    const find = () => {
      throw new Error("disk I/O error");
    };
    const expiry = new CredentialExpiry({
      access,
      sessions: { find, rights: () => 0 },
      clock: () => NOON,
    });
    const socket = new FakeSocket();
    const connection = new Connection("c", socket, native, hub, "127.0.0.1");
    expiry.hold(connection, { account: "11111111", admin: false, session: hash(1) });
    await until(() => socket.closed !== undefined);
    assertEquals(socket.closed, 1013);
  }));

Deno.test("a handshake whose session ended on the way is refused by the core", () =>
  withLog(async (log) => {
    append(log, [session(1, "11111111"), session(2, "22222222")]);
    append(log, [{ kind: "end_sessions", account: "11111111" }]);
    const bus = directBus();
    const core = new Core({
      bus: bus.core,
      log,
      sequencer: localSequencer(log, () => NOON),
      now: () => 0,
      limits: UNBOUNDED,
    });
    const admitted = (n: number, account: string | null) =>
      admit(bus.edge, { connection: `${n} ${account}`, address: "192.0.2.1" }, {
        ...{ account, admin: false },
        session: hash(n),
      });
    const answers = await Promise.all([
      ...[admitted(1, "11111111"), admitted(1, null)],
      ...[admitted(2, "22222222"), admitted(3, null)],
    ]);
    assertEquals(answers.map((answer) => answer?.code), [
      ...["unauthorized", "unauthorized"],
      ...[undefined, undefined],
    ]);
    core.close();
  }));
