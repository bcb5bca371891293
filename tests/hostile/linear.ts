/** Whatever a client sends is read in a time that grows with its size and no faster (threats.md H15). */
import { getCookies } from "@std/http/cookie";
import { ifNoneMatch } from "@std/http/etag";
import { accepts, acceptsEncodings, acceptsLanguages } from "@std/http/negotiation";
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { Buffer } from "node:buffer";
import { growthOf, MOST_GROWTH, type Parser } from "../helpers/growth.ts";
import { patternsIn } from "../helpers/patterns.ts";
import { countedAs, plainAddress } from "../../lib/config/address.ts";
import { readSettings } from "../../lib/config/config.ts";
import { Cookies } from "../../lib/auth/cookies.ts";
import { RequestPolicy } from "../../lib/http/request_policy.ts";
import { filterIn } from "../../lib/http/routes/push_filter.ts";
import { isHost, refuseHead, showsToken } from "../../lib/http/request_head.ts";
import { bearerIn } from "../../lib/web/responses.ts";
import { chooseCoding, hasTag, withPlainTags } from "../../lib/web/text_responses.ts";
import { decode } from "../../lib/codecs/native.ts";
import { keyInHeader } from "../../lib/http/routes/guards.ts";
import { badHandshake } from "../../lib/transports/sockets.ts";
import { placeIn } from "../../lib/codecs/event_stream.ts";
import { readOrigin } from "../../lib/config/origin.ts";
import { parseChannel } from "../../lib/protocol/channel.ts";
import { faultInKey, faultInName } from "../../lib/protocol/command.ts";
import { onOneLine } from "../../lib/protocol/json.ts";
import { plainText } from "../../lib/protocol/message.ts";
import { readPush, readPushJson } from "../../lib/protocol/push.ts";
import { BODIES, QUERIES, readBodyAs, readQueryAs } from "../../lib/protocol/request.ts";
import { fromBytes, said } from "../../lib/protocol/params.ts";
import { channelOf, roomOf } from "../../static/pages/chat/model/channels.js";
import { begun, matching } from "../../static/pages/chat/model/completion.js";
import { excerpt } from "../../static/ui/text/text.js";
import { isEmoji } from "../../static/pages/chat/view/message_line.js";
import { initialsOf } from "../../static/pages/chat/view/person.js";
import { mentionsOf, safeLink, segmentsOf } from "../../static/ui/text/segments.js";
import { dataOf, topicName } from "../../static/ui/push/content.js";

const ROOT = new URL("../../", import.meta.url);

// Blanks, commas, quotes, digits, marks (in an order that no normal form has), and what else begins or ends something here.
const UNITS = [" ", ",", '"', "1", "\u0316\u0301", "a", "=?", "\t ,"];

// What some pattern here takes for a beginning.
const BEGINNINGS = ["", "a", "=?utf-8?B?", "bytes=1", "[", "@", "/**", "\nimport ", "1.", "-"];

// Fits nothing: a pattern that has taken all before it has to give it back.
const END = "\x01x";

/** Inputs by what they are: so many characters of a unit behind a beginning. */
function* inputs(beginnings: readonly string[]): Generator<[string, (length: number) => string]> {
  for (const beginning of beginnings) {
    for (const unit of UNITS) {
      yield [
        JSON.stringify([beginning, unit]),
        (length) => beginning + unit.repeat(length / unit.length) + END,
      ];
    }
  }
}

async function faultsOf(
  name: string,
  parse: Parser,
  beginnings: readonly string[],
): Promise<string[]> {
  const faults: string[] = [];
  for (const [what, make] of inputs(beginnings)) {
    const growth = await growthOf(parse, make);
    if (growth >= MOST_GROWTH) faults.push(`${name} on ${what}: ${growth.toFixed(2)}`);
  }
  return faults;
}

/** The code of lib/ and static/, named from the project's folder. */
async function sources(folders = ["lib", "static"]): Promise<string[]> {
  const files: string[] = [];
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(new URL(`${folder}/`, ROOT))) {
      const path = `${folder}/${name}`;
      if (isDirectory) files.push(...await sources([path]));
      else if (/\.(?:ts|js)$/.test(name)) files.push(path);
    }
  }
  return files;
}

Deno.test("the measure tells a square from a line", async () => {
  const blanks = (length: number) => `a${" ".repeat(length / 2)}a`;
  const square = await growthOf((text) => text.split(/\s*,\s*/), blanks);
  assertGreater(square, 3);
  const line = await growthOf((text) => text.split(",").map((part) => part.trim()), blanks);
  assertLess(line, MOST_GROWTH);
});

Deno.test("a pattern is found wherever an expression may begin, and nowhere else", () => {
  const code = [
    "// /a/",
    "/* /b/ */",
    'const text = "/c/", other = `/d/ ${/e[/]\\/f/g.test(x) ? `${{ a: /g/ }.a}` : 1 / 2 / 3}`;',
    "const half = (1 + 2) / 3 / x; if (/h/u.test(text)) return /i/;",
    "new RegExp(text);",
  ].join("\n");
  const { literals, made } = patternsIn(code);
  assertEquals(literals.map(({ source, flags }) => `${source} ${flags}`), [
    "e[/]\\/f g",
    "g ",
    "h u",
    "i ",
  ]);
  assertEquals(literals.map(({ line }) => line), [3, 3, 4, 4]);
  assertEquals(made, [5]);
});

Deno.test("H15: every regular expression of lib/ and static/ takes time like its input", async () => {
  const faults: string[] = [];
  const made: string[] = [];
  const seen = new Set<string>();
  for (const file of await sources()) {
    const found = patternsIn(await Deno.readTextFile(new URL(file, ROOT)));
    if (found.made.length > 0) made.push(file);
    for (const { source, flags, line } of found.literals) {
      // Globally, since split and replaceAll are so too: each match that fails is tried from every place.
      const pattern = new RegExp(source, flags.includes("g") ? flags : `${flags}g`);
      if (seen.has(String(pattern))) continue;
      seen.add(String(pattern));
      const parse = (text: string) => text.replace(pattern, "");
      faults.push(...await faultsOf(`${file}:${line} /${source}/${flags}`, parse, BEGINNINGS));
    }
  }
  assertGreater(seen.size, 80);
  assertEquals(faults, []);
  // What is made at run time is measured with the parser that makes it.
  assertEquals(made, ["lib/protocol/invisible.ts", "static/ui/text/segments.js"]);
});

const headersOf = (name: string, text: string) =>
  new Headers({ [name]: Buffer.from(text).toString("latin1") });
const requestOf = (name: string, text: string) =>
  new Request("http://localhost/", { headers: headersOf(name, text) });
const queryOf = (text: string) => new URLSearchParams(`a=${text}`);
const sayingsOf = (text: string) => ({ headers: headersOf("title", text), query: queryOf(text) });
const jsonOf = (text: string) => JSON.stringify(text);

const DOOR = new RequestPolicy({
  ...{ host: "127.0.0.1", origins: ["https://chat.example"], trustProxy: true },
  ...{ localOnly: false, tls: undefined },
});
const PEER: Deno.Addr = { transport: "tcp", hostname: "127.0.0.1", port: 1 };

/** Parsers of heads, each with what its input may begin with. */
// The name of its cookies is the hash of its key.
const COOKIES = await Cookies.create({ key: new Uint8Array(32) });

const HEADS: Readonly<Record<string, Parser>> = {
  "if-none-match": (text) => hasTag(requestOf("if-none-match", text), '"x"'),
  "if-none-match of a file": (text) => withPlainTags(requestOf("if-none-match", text)),
  "if-none-match of the stand-in": (text) => ifNoneMatch(text, '"x"'),
  "accept": (text) => accepts(requestOf("accept", text), "text/html"),
  "accept-encoding": (text) => chooseCoding(requestOf("accept-encoding", text), "br", "gzip"),
  "accept-encoding of the stand-in": (text) => acceptsEncodings(requestOf("accept-encoding", text)),
  "accept-language": (text) => acceptsLanguages(requestOf("accept-language", text), "en"),
  "authorization": (text) => bearerIn(headersOf("authorization", text)),
  "cookies": (text) => COOKIES.tokens(headersOf("cookie", text), false),
  "cookie of a session": (text) =>
    COOKIES.tokens(headersOf("cookie", `fanfare_6668=${text}; fanfare_6668=${text}`), false),
  "cookies of the stand-in": (text) => getCookies(headersOf("cookie", text)),
  "connection": (text) =>
    badHandshake(new Headers([["upgrade", "websocket"], ...headersOf("connection", text)])),
  "idempotency-key": (text) => keyInHeader(headersOf("idempotency-key", text)),
  "last-event-id": (text) => placeIn(text),
  "title": (text) => said(sayingsOf(text), ["title"]),
  "bytes": (text) => fromBytes(text),
  "filter": (text) => filterIn(sayingsOf(text)),
  "x-forwarded-for": (text) => DOOR.caller(headersOf("x-forwarded-for", text), PEER),
  "x-forwarded-proto": (text) => DOOR.caller(headersOf("x-forwarded-proto", text), PEER),
  "host": isHost,
  "head": (text) => refuseHead(requestOf("host", text), ["http"]),
  "address": plainAddress,
  "counted address": countedAs,
  "origin": readOrigin,
};

const QUERIES_AND_BODIES: Readonly<Record<string, Parser>> = {
  "query": (text) => readQueryAs(QUERIES.messages, queryOf(text)),
  "token in the query": (text) => showsToken(new Request(`http://localhost/?${text}`)),
  "form": (text) => new URLSearchParams(text).get("msg"),
  "publication": (text) => readBodyAs(BODIES.publish, `{"data":${jsonOf(text)}}`),
  "publications": (text) => readBodyAs(BODIES.publishAll, text),
  "push": (text) => readPush(text, sayingsOf("")),
  "push, its title": (text) => readPush("x", sayingsOf(text)),
  "push as JSON": (text) =>
    readPushJson({ message: text, title: text, click: text, tags: [text] }, sayingsOf("")),
  "text": plainText,
  "one line": onOneLine,
  "settings": (text) => readSettings(`FANFARE_RATE=${text}`, "a file"),
};

const FRAMES_AND_NAMES: Readonly<Record<string, Parser>> = {
  "frame": (text) => [...decode(text)],
  "command": (text) => [...decode(`{"id":1,"publish":{"channel":${jsonOf(text)},"data":1}}`)],
  "published data": (text) => [
    ...decode(`{"id":1,"publish":{"channel":"room:a","data":${jsonOf(text)}}}`),
  ],
  "channel": parseChannel,
  "name": faultInName,
  "key": faultInKey,
};

const MENTIONS = mentionsOf(["Ada", "Ada L", "1111", "a.a", "\u0301"], ["a"]);

const PAGES: Readonly<Record<string, Parser>> = {
  "segments": (text) => segmentsOf(text),
  "segments with mentions": (text) => segmentsOf(`@a${text}@Ada`, MENTIONS),
  "link": (text) => safeLink(`https://${text}`),
  "initials": initialsOf,
  "completion": (text) => begun(text, text.length),
  "matching": (text) => matching("a", [{ account: "a", name: text }], "b"),
  "emoji": isEmoji,
  "excerpt": excerpt,
  "room": roomOf,
  "channel of an address": (text) => channelOf(`#${text}`, "a"),
  "topic": topicName,
  "push": (text) => dataOf({ text, title: text, priority: 3, tags: text, click: text }),
};

const GROUPS = { HEADS, QUERIES_AND_BODIES, FRAMES_AND_NAMES, PAGES };

for (const [group, parsers] of Object.entries(GROUPS)) {
  const what = group.toLowerCase().replaceAll("_", " ");
  Deno.test(`H15: every parser of ${what} takes time like its input`, async () => {
    const faults: string[] = [];
    for (const [name, parse] of Object.entries(parsers)) {
      faults.push(
        ...await faultsOf(name, parse, ["", "a", "=?utf-8?B?"]),
      );
    }
    assertEquals(faults, []);
  });
}

Deno.test("every header that is read by its name is bounded by its head", async () => {
  const head = await Deno.readTextFile(new URL("lib/http/request_head.ts", ROOT));
  const [, list = ""] = /PARSED[^`]*`([^`]*)`/.exec(head) ?? [];
  const bounded = new Set([...list.split(/\s+/), "authorization", "cookie"]);
  const unbounded = new Set<string>();
  for (const file of (await sources()).filter((name) => /^lib\/(?:edge|protocol)\//.test(name))) {
    const code = await Deno.readTextFile(new URL(file, ROOT));
    const read = [...code.matchAll(/request\.headers\.(?:get|has)\("([a-z-]+)"\)/g)];
    for (const [, name = ""] of read) if (!bounded.has(name)) unbounded.add(name);
  }
  assertEquals([...unbounded], []);
});
