// @ts-check
/** One conversation: its messages in the order of seq, where some are missing, and how far it was read. Pure. */

/** How many messages of the conversation that is open stay on the page. */
export const KEPT = 20_000;
/** How many of one that isn't. */
export const KEPT_ASIDE = 300;

/**
 * @typedef {import("./content.js").Said} Said
 * @typedef {{seq: number, time: number, from: string | null, name?: string, text: string}} Last The newest message, for lists.
 * @typedef {object} Talk
 * @property {readonly Said[]} said In the order of seq, each once.
 * @property {readonly number[]} holes After each of these seqs some may be missing.
 * @property {boolean | undefined} more Whether there are older ones; undefined while nobody asked.
 * @property {number | undefined} read Up to which seq it was read; undefined while nothing is known.
 * @property {number} unread How many of others came after that.
 * @property {number} called How many of those mention oneself, or are for oneself alone.
 * @property {number | undefined} line After which seq the "new" line stands.
 * @property {Last | undefined} last The newest message.
 * @property {boolean} [stale] Whether what is shown is what this browser kept: the server wasn't heard yet, and what it tells takes its place.
 * @property {"older" | number | undefined} loading What is being loaded: older ones, or what is missing after a seq.
 */

/** Nothing known yet. @type {Talk} */
export const emptyTalk = Object.freeze({
  ...{ said: [], holes: [], more: undefined, read: undefined, unread: 0, called: 0 },
  ...{ line: undefined, last: undefined, loading: undefined },
});

/**
 * The first place in a list at which a seq is at least the one given.
 *
 * @param {readonly {seq: number}[]} said In order.
 * @param {number} seq Which.
 * @returns {number} The index; the length where all are smaller.
 */
export function indexOf(said, seq) {
  let low = 0;
  let high = said.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((said[middle]?.seq ?? 0) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Whether a message is there.
 *
 * @param {readonly Said[]} said In order.
 * @param {number} seq Which.
 * @returns {Said | undefined} The message.
 */
export function find(said, seq) {
  const found = said[indexOf(said, seq)];
  return found?.seq === seq ? found : undefined;
}

/**
 * Adds what came by the subscription.
 *
 * @param {Talk} talk The conversation.
 * @param {readonly Said[]} messages In order; those that are there already are passed over.
 * @param {boolean} gap Whether some before them are missing.
 * @returns {{talk: Talk, fresh: Said[]}} The next one, and which were new.
 */
export function add(talk, messages, gap) {
  const fresh = messages.filter(({ seq }) => find(talk.said, seq) === undefined);
  // One's own may be here before what was missed: the hole is before that, not at the end.
  const start = messages[0]?.seq ?? Infinity;
  const end = talk.said[indexOf(talk.said, start) - 1]?.seq;
  const holes = gap && end !== undefined && !talk.holes.includes(end)
    ? [...talk.holes, end]
    : talk.holes;
  if (fresh.length === 0) return { talk: { ...talk, holes }, fresh };
  return { talk: withLast({ ...talk, holes, said: merged(talk.said, fresh) }), fresh };
}

/**
 * Counts what came while nobody looked, or takes it as read.
 *
 * @param {Talk} talk The conversation with the new messages in it.
 * @param {readonly Said[]} fresh The new ones.
 * @param {{own: string | undefined, looking: boolean, first: boolean, calls: (message: Said) => boolean}} now Who one is, whether one sees them, whether nothing was here before, and what is for oneself.
 * @returns {Talk} The next one.
 */
export function count(talk, fresh, { own, looking, first, calls }) {
  const end = talk.said.at(-1)?.seq ?? 0;
  // It may be beyond the newest: another tab has shown what is still on its way to this one.
  const read = talk.read ?? end;
  const others = fresh.filter(({ seq, from }) => seq > read && from !== own);
  const line = others.length > 0 && talk.unread === 0 && (!looking || first) ? read : talk.line;
  if (looking) return { ...talk, read: Math.max(read, end), unread: 0, called: 0, line };
  return {
    ...{ ...talk, read, line },
    unread: talk.unread + others.length,
    called: talk.called + others.filter(calls).length,
  };
}

/**
 * Puts a page of history in its place.
 *
 * @param {Talk} talk The conversation.
 * @param {readonly Said[]} page In order, without holes of its own.
 * @param {{older?: boolean, newer?: boolean}} more Whether there are older ones before it, newer ones behind it, where that is known.
 * @returns {Talk} The next one.
 */
export function addPage(talk, page, { older, newer }) {
  const [first, last] = [page[0]?.seq, page.at(-1)?.seq];
  const start = talk.said[0]?.seq ?? Infinity;
  const begins = first === undefined || first <= start;
  let { holes } = talk;
  if (first !== undefined && last !== undefined) {
    const next = talk.said[indexOf(talk.said, last)]?.seq;
    holes = holes.filter((after) => after < first || after > last);
    if (newer !== false && next !== undefined && next > last) holes = [...holes, last];
  }
  return withLast({
    ...talk,
    said: merged(talk.said, page),
    holes,
    ...(begins && older !== undefined ? { more: older } : {}),
    loading: undefined,
  });
}

/**
 * Fills a hole.
 *
 * @param {Talk} talk The conversation.
 * @param {number} after Where the hole was.
 * @param {readonly Said[]} page What follows there, in order.
 * @param {boolean} more Whether there is still more.
 * @returns {Talk} The next one; the hole is gone once what follows it is what is known.
 */
export function fill(talk, after, page, more) {
  const next = talk.said[indexOf(talk.said, after + 1)]?.seq ?? Infinity;
  const last = page.at(-1)?.seq ?? Infinity;
  const open = more && last < next;
  const holes = talk.holes.filter((hole) => hole !== after);
  return withLast({
    ...talk,
    said: merged(talk.said, page),
    holes: open ? [...holes, last] : holes,
    loading: undefined,
  });
}

/**
 * Forgets the oldest, where there are too many.
 *
 * @param {Talk} talk The conversation.
 * @param {number} most How many may stay.
 * @returns {Talk} The next one.
 */
export function trim(talk, most) {
  if (talk.said.length <= most) return talk;
  const said = talk.said.slice(-most);
  const start = said[0]?.seq ?? 0;
  return { ...talk, said, holes: talk.holes.filter((hole) => hole >= start), more: true };
}

/**
 * Makes room around what somebody reads, however far back they go: keeps half of what may stay there, and the newest ones.
 * What goes between leaves a hole, which is loaded again like any other.
 *
 * @param {Talk} talk The conversation.
 * @param {number} seq Where somebody reads.
 * @returns {Talk} The next one.
 */
export function thin(talk, seq) {
  const { said } = talk;
  if (said.length <= KEPT) return talk;
  const half = KEPT / 2;
  const from = Math.max(0, Math.min(indexOf(said, seq) - half / 2, said.length - half));
  const to = from + half;
  const tail = Math.max(to, said.length - KEPT_ASIDE);
  const end = said[to - 1]?.seq ?? 0;
  const [start, again] = [said[from]?.seq ?? 0, said[tail]?.seq ?? Infinity];
  const holes = talk.holes.filter((hole) => (hole >= start && hole < end) || hole >= again);
  return {
    ...talk,
    said: [...said.slice(from, to), ...said.slice(tail)],
    holes: tail > to || talk.holes.includes(end) ? [...holes, end] : holes,
    ...(from > 0 ? { more: true } : {}),
  };
}

/** @param {Talk} talk A conversation. @returns {Talk} With what lists show of it. */
function withLast(talk) {
  const end = talk.said.at(-1);
  if (end === undefined || end.seq <= (talk.last?.seq ?? 0)) return talk;
  const { seq, time, from, name, text } = end;
  return {
    ...talk,
    last: { seq, time, from, text: text.slice(0, 100), ...(name === undefined ? {} : { name }) },
  };
}

/** @param {readonly Said[]} a In order. @param {readonly Said[]} b In order. @returns {Said[]} Both, each once. */
function merged(a, b) {
  if (b.length === 0) return [...a];
  if ((a.at(-1)?.seq ?? 0) < (b[0]?.seq ?? 0)) return [...a, ...b];
  /** @type {Said[]} */
  const all = [];
  for (let i = 0, k = 0; i < a.length || k < b.length;) {
    const [one, two] = [a[i], b[k]];
    if (two === undefined || (one !== undefined && one.seq <= two.seq)) {
      if (one !== undefined) all.push(one);
      if (one?.seq === two?.seq) k += 1;
      i += 1;
    } else {
      all.push(two);
      k += 1;
    }
  }
  return all;
}
