/** What is right, to be changed: real commands, forms, paths and headers. */
import { HANDSHAKE } from "../../helpers/raw_http.ts";

/** Lines of native clients. */
export const COMMANDS = [
  '{"id":1,"hello":{"name":"Ada"}}',
  '{"id":1,"hello":{"token":"0123456789abcdef0123"}}',
  '{"id":2,"subscribe":{"channel":"room:lobby","history":50,"presence":true}}',
  '{"id":3,"subscribe":{"channel":"push:all","since":{"epoch":"e","seq":17}}}',
  '{"id":4,"subscribe":{"channel":"dm:*","history":10}}',
  '{"id":5,"unsubscribe":{"channel":"room:lobby"}}',
  '{"id":6,"publish":{"channel":"room:lobby","data":{"text":"hello","n":[1,2.5,null,true,{"a":"b"}]},"key":"k1"}}',
  '{"id":7,"publish":{"channel":"dm:00000000.1f0c9a2b","data":"psst"}}',
  '{"id":8,"publish":{"channel":"push:all","data":{"text":"done","title":"t","tags":["a"],"click":"https://a.example/"}}}',
  '{"id":9,"history":{"channel":"room:lobby","before":100,"limit":20}}',
  '{"id":10,"presence":{"channel":"room:lobby"}}',
  '{"id":11,"signal":{"channel":"room:lobby","data":{"typing":true}}}',
  '{"id":12,"rename":{"name":"Grace 🎺"}}',
  '{"id":13,"ping":{}}',
  '{"id":14,"ping":{}}\n{"id":15,"publish":{"channel":"room:a","data":1}}\n\n{"id":16,"ping":{}}',
] as const;

/** What clients of the first protocol say. */
export const WORDS = ["test", "", "testing", '{"type":1}'] as const;

type Form = readonly [path: string, fields: string];

/** Forms: where to, and what. `ACCOUNT` stands for the sender's own. */
export const FORMS: readonly [Form, ...Form[]] = [
  ["/send/", "msg=Backup+done"],
  ["/send", "msg=%E6%8E%A8%E9%80%81&x=1"],
  ["/msg_send/", "type=1&txt=hello&userfrom=ACCOUNT&userto="],
  ["/msg_send/", "type=2&txt=psst&userfrom=ACCOUNT&userto=ACCOUNT"],
  ["/token/", "token=0123456789abcdef0123"],
];

/** Bodies of the JSON API: where to, and what. */
export const BODIES: readonly [Form, ...Form[]] = [
  [
    "/api/channels/room:lobby/messages",
    '{"data":{"text":"hello","n":[1,2.5,null,true]},"key":"k1"}',
  ],
  ["/api/channels/push:all/messages", '{"data":"x"}'],
  ["/api/channels/dm:ACCOUNT.ACCOUNT/messages", '{"data":{"text":"psst"}}'],
  ["/api/messages", '[{"channel":"room:a","data":1,"key":"k"},{"channel":"push:a","data":{}}]'],
  [
    "/push",
    '{"topic":"all","message":"x","title":"t","priority":4,"tags":["a"],"click":"https://a.example/"}',
  ],
  ["/api/withdrawals", '{"account":"ada","before":1790000000}'],
];

/** What a push comes with: header lines. */
export const PUSH_HEADERS: readonly [string, ...string[]] = [
  "title: Backup",
  "t: =?UTF-8?B?44GC?= =?utf-8?q?=E3=81=84_u?=",
  "priority: urgent",
  "p: 5",
  "tags: nightly, ok",
  "click: https://a.example/?x=1",
  'idempotency-key: "k-1"',
  "m: in a header",
  "x-title: =?latin1?q?=e9?=",
];

/** Addresses of streams and pages, with places in them. */
export const READS: readonly [string, ...string[]] = [
  "/events?channel=push:all&channel=room:lobby&last_event_id=e:17",
  "/events?channel=dm:*",
  "/push/all/json?poll=1&since=10m",
  "/push/all/sse?since=17",
  "/push/all/raw?poll=1&since=all",
  "/push/all,other/json?poll=1&since=1h30m&p=high,4&ta=a,b&t=T",
  "/push/all,other/sse?si=latest&id=17",
  "/api/channels/room:lobby/messages?limit=20&before=100",
  "/api/channels/push%3Aall/presence",
  "/api/channels?after=push:a&limit=3",
  "/api/mutes?after=ada&limit=3",
  "/api/me",
  "/docs",
  "/openapi.yaml",
];

/** Paths. */
export const PATHS = [
  "/",
  "/to_chat/",
  "/to_recmsg",
  "/to_sendmsg/?a=b",
  "/static/pages/chat/index.html",
  "/static/ui/styles/style.css",
  "/static/../deno.json",
  "/lib/preact@11.2.0.js",
  "/fanfare.js",
  "/fanfare/store.js",
  "/sw.js",
  "/pages/x.html",
  "/healthz",
  "/readyz",
  "/ws",
  "/link/",
  "/chat/",
  "/send/",
  "http://127.0.0.1/to_chat/",
  "*",
] as const;

/** The head of a token. */
export const TOKEN_HEAD = '{"alg":"HS256","typ":"JWT","kid":"a"}';

/** What a token says. */
export const CLAIMS = [
  '{"sub":"program","exp":4000000000,"channels":{"publish":["push:*"],"subscribe":["room:a"]}}',
  '{"sub":"program","name":"Ada","iat":1790000000,"nbf":1790000000,"jti":"a"}',
  '{"sub":"program","aud":["fanfare","other"],"channels":{"publish":[]}}',
] as const;

/** Methods. */
export const METHODS = [
  "GET",
  "GET",
  "GET",
  "POST",
  "HEAD",
  "OPTIONS",
  "TRACE",
  "PUT",
  "X-Y",
] as const;

/** Header lines. */
export const HEADERS: readonly [string, ...string[]] = [
  "origin: http://127.0.0.1:8000",
  ...Object.entries(HANDSHAKE).map(([name, value]) => `${name}: ${value}`),
  "sec-websocket-protocol: fanfare.v1",
  "sec-websocket-extensions: permessage-deflate; client_max_window_bits",
  "sec-fetch-site: same-origin",
  "authorization: Bearer 0123456789abcdef0123",
  "content-type: application/x-www-form-urlencoded; charset=utf-8",
  "content-encoding: gzip",
  "transfer-encoding: chunked",
  "content-length: 10",
  "expect: 100-continue",
  "range: bytes=0-10",
  'if-none-match: W/"0-abc"',
  "accept-language: zh-CN,zh;q=0.9",
  "x-forwarded-for: 192.0.2.1, 2001:db8::1",
  "x-forwarded-proto: https",
  "last-event-id: e:17",
];
