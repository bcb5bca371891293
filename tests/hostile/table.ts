/** Every row of threats.md: the tests that show it, and what is open with the reason. */

/** A test by its file and the beginning of its name. */
export type Shown = readonly [file: string, name: string];

/** A row. */
export interface Row {
  /** What the input or fault is. */
  readonly about: string;
  readonly shown: readonly Shown[];
  /** What of it comes later, and with what. */
  readonly open?: string;
}

const http = (name: string): Shown => ["tests/hostile/http_test.ts", name];
const door = (name: string): Shown => ["tests/hostile/door_test.ts", name];
const frames = (name: string): Shown => ["tests/hostile/frames_test.ts", name];
const slices = (name: string): Shown => ["tests/hostile/slices_test.ts", name];
const identity = (name: string): Shown => ["tests/hostile/identity_test.ts", name];
const limits = (name: string): Shown => ["tests/stories/limits_test.ts", name];
const quotas = (name: string): Shown => ["tests/unit/core/quotas_test.ts", name];
const access = (name: string): Shown => ["tests/stories/access_test.ts", name];
const native = (name: string): Shown => ["tests/stories/native_protocol_test.ts", name];
const sockets = (name: string): Shown => ["tests/stories/native_sockets_test.ts", name];
const first = (name: string): Shown => ["tests/stories/demo_protocol_test.ts", name];
const bounds = (name: string): Shown => ["tests/unit/delivery/bounds_test.ts", name];
const damage = (name: string): Shown => ["tests/unit/store/damage_test.ts", name];
const folder = (name: string): Shown => ["tests/stories/data_folder_test.ts", name];
const retention = (name: string): Shown => ["tests/stories/retention_test.ts", name];
const epoch = (name: string): Shown => ["tests/stories/log_epoch_test.ts", name];
const clock = (name: string): Shown => ["tests/stories/clock_ahead_test.ts", name];
const api = (name: string): Shown => ["tests/stories/api_test.ts", name];
const events = (name: string): Shown => ["tests/stories/events_test.ts", name];
const push = (name: string): Shown => ["tests/stories/push_test.ts", name];
const tokens = (name: string): Shown => ["tests/stories/tokens_test.ts", name];
const sessions = (name: string): Shown => ["tests/stories/sessions_test.ts", name];
const mutes = (name: string): Shown => ["tests/stories/mutes_test.ts", name];
const accounts = (name: string): Shown => ["tests/stories/accounts_test.ts", name];
const guard = (name: string): Shown => ["tests/stories/guard_test.ts", name];
const refusals = (name: string): Shown => ["tests/stories/refusals_test.ts", name];
const names = (name: string): Shown => ["tests/unit/protocol/names_test.ts", name];
const FUZZ: Shown = ["tests/programs/fuzz_test.ts", "fuzz: ten thousand cases"];

/** The rows by their names. */
export const ROWS: Readonly<Record<string, Row>> = {
  H1: {
    about: "foreign origins",
    shown: [http("H1:"), first("a page of another origin can neither push nor open a socket")],
  },
  H2: { about: "no Origin", shown: [http("H2:")] },
  H3: { about: "another Host, two, garbage", shown: [http("H3:"), door("H3:")] },
  H4: {
    about: "handshakes that are none",
    shown: [http("H4:"), sockets("only the subprotocol that is spoken")],
  },
  H5: {
    about: "a token in the query",
    shown: [http("H5:"), identity("H5:"), bounds("a greeting that is refused")],
  },
  H6: { about: "X-Forwarded-*", shown: [http("H6:"), http("behind TLS a cookie")] },
  H7: {
    about: "over the connection quotas",
    shown: [
      limits("H7:"),
      limits("of many handshakes at once"),
      limits("a client that goes during its handshake"),
      quotas("connections in all, of an address and of an account"),
    ],
  },
  H8: { about: "methods", shown: [http("H8:")] },
  H9: {
    about: "bodies over the limit",
    shown: [http("H9: a body over"), http("H9: a GET"), first("forms are refused by type, size")],
  },
  H10: { about: "a body that trickles", shown: [http("H10:")] },
  H11: { about: "JSON API with another type", shown: [api("H11:")] },
  H12: { about: "addresses that lead elsewhere", shown: [http("H12:"), FUZZ] },
  H13: {
    about: "line feeds in names, headers, titles",
    shown: [http("H13:"), frames("M6:"), events("H13:"), push("H13:")],
  },
  H14: { about: "forms of other sites", shown: [http("H14:")] },
  H15: {
    about: "large heads; blanks, commas, quotes, digits, marks",
    shown: [
      door("H15: a value"),
      door("H15: what Deno refuses"),
      door("H15: heads of 60,000"),
      ["tests/hostile/linear_test.ts", "H15: every regular expression"],
      ["tests/hostile/linear.ts", "H15: every parser of"],
    ],
  },
  H16: {
    about: "a Host that is none",
    shown: [door("H16: a Host"), door("H16: an address"), door("H16: on a socket file")],
  },
  H17: {
    about: "a proxy that names no client",
    shown: [door("H17: a proxy"), door("H17: the log tells")],
  },
  H18: { about: "schemes by their meaning", shown: [door("H18:")] },
  H19: {
    about: "unread answers and polls",
    shown: [slices("H19: unread polls"), slices("H19: an answer of which")],
  },
  H20: { about: "a foreign page's GET", shown: [door("H20:")] },
  H21: {
    about: "one request over many channels, history and gzip",
    shown: [
      slices("H21: whatever"),
      slices("H21: while eight"),
      slices("H21: over the rate"),
      slices("H21: what small bodies"),
    ],
  },
  F1: {
    about: "binary frames",
    shown: [
      frames("F1, F2:"),
      sockets("too large a message is refused; too large a frame"),
      first("a binary or broken frame"),
    ],
  },
  F2: {
    about: "text over the limit",
    shown: [
      frames("F1, F2:"),
      sockets("too large a message is refused; too large a frame"),
      bounds("blank lines are passed over"),
    ],
  },
  F3: {
    about: "wrong frames, pings in thousands",
    shown: [frames("F3: frames"), frames("F3: pings"), FUZZ],
  },
  F4: {
    about: "sends after our close, never answers it",
    shown: [limits("F4:"), guard("F4:"), guard("stuck sockets have to stay")],
  },
  F5: {
    about: "sends on while we close it",
    shown: [frames("F5: who sends on in a burst"), frames("F5: so does who sends on")],
  },
  M1: {
    about: "what is no command",
    shown: [
      native("what isn't a command"),
      sockets("too large a message is refused; too large a frame"),
    ],
  },
  M2: { about: "__proto__ and its like", shown: [frames("M2:"), native("what isn't a command")] },
  M3: { about: "nesting", shown: [frames("M3:"), native("what isn't a command")] },
  M4: { about: "numbers and types", shown: [frames("M4:"), native("what isn't a command")] },
  M5: {
    about: "surrogates, NUL, control characters",
    shown: [
      frames("M5: control"),
      frames("M5: a push's title"),
      push("H13:"),
      push("one line publishes"),
      ["tests/browser/placed_test.ts", "M5: control characters"],
    ],
  },
  M6: {
    about: "names",
    shown: [
      frames("M6:"),
      limits("channels and names"),
      ["tests/browser/placed_test.ts", "M6: marks that are piled up"],
      ["tests/browser/placed_test.ts", "M6: a push with piled up marks"],
      ["tests/browser/placed_test.ts", "M6: where two people's texts meet"],
    ],
  },
  M7: {
    about: "markup, links, vnodes",
    shown: [
      ["tests/browser/injection_test.ts", "M7: thirty injections"],
      ["tests/browser/injection_test.ts", "M7: what programs publish"],
      ["tests/browser/demo_test.ts", "the demo's receiver shows"],
    ],
  },
  M8: {
    about: "the same key again",
    shown: [
      frames("M8:"),
      sockets("publishing again with the same key"),
      limits("repeats don't count"),
    ],
  },
  M9: {
    about: "more than the rate",
    shown: [
      limits("M9: a burst of publications"),
      limits("M9: whoever goes on"),
      limits("the forms of the first protocol are refused with 429"),
      limits("an account's limit holds tenfold"),
      limits("commands a second"),
      quotas("one that was refused is refused until"),
      quotas("a flood is more than ten times"),
    ],
  },
  M10: {
    about: "the 129th channel, hello twice, an ended token",
    shown: [
      native("the 129th channel"),
      frames("M10:"),
      limits("channels and names"),
      tokens("M10:"),
    ],
  },
  M11: {
    about: "a million names",
    shown: [
      frames("M11:"),
      quotas("M11:"),
      quotas("of buckets so many are kept"),
      limits("an address brings so many accounts"),
      accounts("M11:"),
      mutes("so many are muted at once"),
    ],
  },
  M12: {
    about: "a place that isn't of this log",
    shown: [frames("M12:"), native("`since` brings what was missed")],
  },
  M13: {
    about: "signals, repeats and refusals by the thousand",
    shown: [
      limits("M13: refused requests"),
      limits("M13: whoever goes on"),
      limits("M13: the 256 unanswered"),
      limits("M13: a first client"),
      refusals("M13: a kind of refusal"),
      refusals("M13: a million addresses"),
      refusals("M13: of hundreds"),
    ],
  },
  M14: {
    about: "characters that nobody sees in names",
    shown: [
      names("M14: default-ignorable"),
      names("M14: an emoji"),
      names("M14: joiners"),
      names("M14: a name is read"),
    ],
  },
  I1: {
    about: "cookies that aren't whole",
    shown: [identity("I1:"), ["tests/stories/old_cookies_test.ts", "I1:"]],
  },
  I2: {
    about: "JWT",
    shown: [
      tokens("I2: what isn't a token of ours"),
      tokens("I2: a token in `hello`"),
      tokens("keys of each kind"),
    ],
  },
  I3: {
    about: "another's account, another's direct messages",
    shown: [
      access("I3: role × verb × kind of channel over the native protocol"),
      access("I3: role × what the first protocol and the pages offer"),
      access("I3: role × verb × kind of channel over HTTP"),
      access("I3: role × pushes as ntfy has them"),
      access("I3: role × recovery × kind of channel"),
      access("I3: a private message reaches its two"),
      events("direct messages come to their two"),
      access("I3: another's direct messages are refused in the same words"),
      first("chat refuses: no cookie"),
      native("direct messages go to their two accounts"),
    ],
    open: "search and receipts come with them",
  },
  I4: {
    about: "the admin token",
    shown: [
      identity("I4: without the admin token"),
      identity("I4: a thousand wrong tokens"),
      quotas("an address brings sixty accounts"),
      access("the admin cookie belongs to the token"),
      ["tests/browser/token_test.ts", "I4:"],
    ],
  },
  I5: {
    about: "a token withdrawn, an account muted",
    shown: [
      tokens("I5:"),
      tokens("the admin token changes with its file"),
      mutes("I5:"),
      mutes("the account of a token can be muted"),
      sessions("I5:"),
    ],
  },
  I6: {
    about: "cookies by the hundred thousand",
    shown: [sessions("I6:"), ["tests/unit/core/session_records_test.ts", "a name that is taken"]],
  },
  I7: { about: "a token for a browser's account", shown: [tokens("I7:")] },
  L1: {
    about: "readers that stop",
    shown: [
      ["tests/unit/delivery/cursor_test.ts", "one whose socket is full is sent nothing"],
      ["tests/unit/delivery/cursor_test.ts", "where sockets hold too much each is sent little"],
      ["tests/stories/slow_readers_test.ts", "L1: what Deno keeps"],
      bounds("who reads slowly but steadily isn't closed"),
      bounds("signals to one who doesn't read are dropped"),
      ["tests/stories/slow_readers_test.ts", "L1: a hundred of three hundred"],
    ],
  },
  L2: {
    about: "ten thousand cut at once; so many are `deno task bench:cut`",
    shown: [
      ["tests/stories/storm_test.ts", "L2: two thousand"],
      ["tests/stories/storm_test.ts", "L2: what all who come back"],
    ],
  },
  L3: {
    about: "kill -9",
    shown: [["tests/programs/torture_test.ts", "a server killed three times"]],
  },
  L4: {
    about: "a full disk",
    shown: [
      folder("a full disk refuses publications"),
      folder("on a full disk an end in order"),
      ["tests/unit/core/batches_test.ts", "L4:"],
    ],
  },
  L5: {
    about: "a damaged log",
    shown: [
      damage("a WAL with a changed byte"),
      damage("a log file that was cut"),
      damage("a part that is gone or empty"),
      damage("a log of a newer program"),
      damage("a changed byte in the log file"),
    ],
  },
  L6: {
    about: "the clock goes back",
    shown: [
      retention("the clock goes back an hour"),
      quotas("a bucket gives its burst"),
      clock("L6: the clock was ahead by"),
      clock("L6: a clock behind by"),
      clock("L6: a clock that was behind a week ago"),
      clock("L6: after the clock was ahead, durations"),
      clock("L6: after the clock was ahead, accounts and sessions"),
      clock("L6: keys go by the time"),
    ],
  },
  L7: {
    about: "an isolate throws, eats its heap, hangs",
    shown: [
      ["tests/stories/isolates_test.ts", "an isolate that ends ("],
      ["tests/stories/isolates_test.ts", "an isolate that hangs"],
      ["tests/programs/torture_test.ts", "so does one with three isolates"],
    ],
  },
  L8: {
    about: "SIGTERM",
    shown: [
      sockets("leaving: clients are told"),
      ["tests/unit/config/config_test.ts", "it prints one line when it serves"],
      ["tests/unit/config/config_test.ts", "Ctrl-C under a task runner"],
      ["tests/stories/shutdown_test.ts", "L8: SIGTERM under load"],
      ["tests/stories/shutdown_test.ts", "L8: a second signal"],
    ],
  },
  L9: { about: "a second process", shown: [folder("a second process is refused within a second")] },
  L10: {
    about: "a silent network",
    shown: [
      ["tests/stories/silence_test.ts", "L10:"],
      bounds("of whoever takes nothing of the little"),
      bounds("who reads slowly but steadily isn't closed"),
    ],
  },
  L11: {
    about: "no file descriptors left",
    shown: [["tests/stories/descriptors_test.ts", "L11:"]],
  },
  L12: {
    about: "a soak; ten minutes of it are a step of `deno task torture`",
    shown: [["tests/stories/soak_test.ts", "L12:"]],
  },
  L13: {
    about: "mark and WAL lost, a copy made by hand, a foreign journal",
    shown: [
      epoch("a log goes on under its epoch only with its own mark"),
      epoch("a journal that nothing was written under"),
      epoch("a kill between any two steps of getting a new epoch"),
      epoch("a folder that is moved whole keeps its epoch"),
    ],
  },
};
