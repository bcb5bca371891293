/** Holds what was told against what is in the log: nothing lost, nothing repeated, nothing in another order. */
import type { Random } from "../../helpers/random.ts";
import { checksum, type Ledger, messageChecksum } from "./ledger.ts";
import type { Account } from "./publisher.ts";
import type { Stream } from "./reader.ts";
import type { Wire, WireMessage } from "../../helpers/load/wire.ts";

/** What a channel's history pages hold. */
export type History = ReadonlyMap<string, readonly WireMessage[]>;

/**
 * Reads all of a channel, forwards and backwards, in pages of random sizes; both ways must give the same.
 *
 * @param wire Whose account may read it.
 * @param channel The channel.
 * @param ledger Where differences are written down.
 * @param random Chooses the sizes.
 * @returns The messages, oldest first.
 */
export async function readHistory(
  wire: Wire,
  channel: string,
  ledger: Ledger,
  random: Random,
): Promise<WireMessage[]> {
  const forwards: WireMessage[] = [];
  const backwards: WireMessage[][] = [];
  for (let after = 0, more = true; more;) {
    const page = await pageOf(wire, { channel, after, limit: random.whole(1, 200) });
    forwards.push(...page.messages);
    after = page.messages.at(-1)?.seq ?? after;
    more = page.more;
  }
  for (let before: number | undefined, more = true; more;) {
    const place = before === undefined ? {} : { before };
    const page = await pageOf(wire, { channel, ...place, limit: random.whole(1, 200) });
    backwards.push([...page.messages]);
    before = page.messages[0]?.seq ?? before;
    more = page.more;
  }
  const [one, other] = [forwards, backwards.reverse().flat()].map((all) =>
    all.map(messageChecksum)
  );
  if (checksum(one) !== checksum(other)) {
    const lengths = `${one?.length} and ${other?.length} messages`;
    ledger.violate("wrong", `${channel} read forwards and backwards differs: ${lengths}`);
  }
  return forwards;
}

async function pageOf(
  wire: Wire,
  body: object,
): Promise<{ messages: readonly WireMessage[]; more: boolean }> {
  const answer = await wire.ask("history", body);
  if (answer?.history !== undefined) return answer.history;
  throw new Error(`No page of history came for ${JSON.stringify(body)}: ${JSON.stringify(answer)}`);
}

/**
 * Holds the acknowledgements against the history.
 *
 * @param ledger What was published and told.
 * @param history All channels.
 * @param accounts The publishers.
 */
export function verifyHistory(
  ledger: Ledger,
  history: History,
  accounts: readonly Account[],
): void {
  const names = new Map(accounts.map(({ account, name }) => [account, name]));
  const seen = new Map<string, WireMessage>();
  for (const [channel, messages] of history) {
    messages.forEach((message, i) => {
      const { seq, key = "", from, name } = message;
      const publication = ledger.publications.get(key);
      const before = messages[i - 1];
      const first = seen.get(key);
      if (message.channel !== channel) {
        ledger.violate("wrong", `${message.channel} ${seq} is in the history of ${channel}`);
      }
      if (before !== undefined && before.seq >= seq) {
        ledger.violate("reordered", `${channel} has ${seq} behind ${before.seq}`);
      }
      if (first !== undefined) {
        return ledger.violate("repeated", `${key} is in ${channel} as ${first.seq} and as ${seq}`);
      }
      seen.set(key, message);
      if (publication === undefined) {
        return ledger.violate("wrong", `${channel} ${seq} with key ${key} was never published`);
      }
      const right = publication.channel === channel && publication.publisher === from &&
        names.get(publication.publisher) === name && publication.crc === checksum(message.data);
      if (!right) ledger.violate("wrong", `${channel} ${seq} isn't what was published as ${key}`);
    });
  }
  verifyTold(ledger, seen);
  verifyOrder(ledger, [...seen.values()].sort((a, b) => a.seq - b.seq));
}

function verifyTold(ledger: Ledger, seen: ReadonlyMap<string, WireMessage>): void {
  for (const { key, channel, told } of ledger.publications.values()) {
    const message = seen.get(key);
    if (told === undefined) {
      ledger.violate("wrong", `${key} in ${channel} was never acknowledged`);
    } else if (message === undefined) {
      ledger.violate(
        "lost",
        `${key} was acknowledged in ${channel} as ${told.seq}, and isn't there`,
      );
    } else if (message.seq !== told.seq || message.time !== told.time) {
      const is = `${message.seq} at ${message.time}`;
      ledger.violate("wrong", `${key} was told to be ${told.seq} at ${told.time}, but is ${is}`);
    }
  }
}

// Over all channels: one publisher's messages stand in the order of their first sending.
function verifyOrder(ledger: Ledger, all: readonly WireMessage[]): void {
  const nths = new Map<string, number>();
  let last: WireMessage | undefined;
  for (const message of all) {
    const { seq, time, key = "" } = message;
    if (last !== undefined && last.seq === seq) {
      ledger.violate("repeated", `Seq ${seq} is in ${last.channel} and in ${message.channel}`);
    }
    if (last !== undefined && last.time > time) {
      ledger.violate("wrong", `Time falls from ${last.time} at ${last.seq} to ${time} at ${seq}`);
    }
    last = message;
    const publication = ledger.publications.get(key);
    if (publication === undefined || publication.unordered) continue;
    const before = nths.get(publication.publisher) ?? -1;
    if (publication.nth < before) {
      ledger.violate(
        "reordered",
        `${key} at ${seq} stands behind the publisher's number ${before}`,
      );
    }
    nths.set(publication.publisher, publication.nth);
  }
}

/**
 * Holds what a reader saw against the history.
 *
 * @param ledger Where violations are written down.
 * @param stream What it saw of a subscription.
 * @param messages What the history has of it, in the order of seq.
 */
export function verifyStream(
  ledger: Ledger,
  { reader, channel, begun, seqs, sums }: Stream,
  messages: readonly WireMessage[],
): void {
  if (begun === undefined) return ledger.violate("wrong", `${reader} never read ${channel}`);
  const times = new Map<number, number>();
  seqs.forEach((seq, i) => {
    times.set(seq, (times.get(seq) ?? 0) + 1);
    const before = seqs[i - 1];
    if (before !== undefined && before > seq) {
      ledger.violate("reordered", `${reader} saw ${channel} ${seq} behind ${before}`);
    }
  });
  const known = new Map(messages.map((message) => [message.seq, message]));
  for (const message of messages) {
    if (message.seq <= begun || times.has(message.seq)) continue;
    ledger.violate("lost", `${reader} never saw ${channel} ${message.seq}`);
  }
  for (const [seq, count] of times) {
    if (count > 1) ledger.violate("repeated", `${reader} saw ${channel} ${seq} ${count} times`);
    if (!known.has(seq)) {
      ledger.violate("wrong", `${reader} saw ${channel} ${seq}, which isn't there`);
    }
  }
  seqs.forEach((seq, i) => {
    const message = known.get(seq);
    if (message !== undefined && messageChecksum(message) !== sums[i]) {
      ledger.violate("wrong", `${reader} saw another ${channel} ${seq} than the history has`);
    }
  });
}
