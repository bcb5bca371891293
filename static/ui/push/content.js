// @ts-check
/** What a push says (protocol.md, "Messages"). Anyone may have put anything into its data: what isn't right is left out. */
import { safeLink } from "../text/segments.js";
import { fieldsOf, textOf } from "../text/text.js";

/** The topic of the first demo. */
export const TOPIC = "all";

// The server looks closer at joiners, and refuses those that change nothing.
const NAME =
  /^(?!.*(?![\u200c\u200d])\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{Nd}\u200c\u200d_.-]+$/u;
const NAME_BYTES = 128;
/** How many characters of a title are shown. */
export const LONGEST_TITLE = 250;
const LONGEST_TYPED = 1024;
const MOST_TAGS = 10;
const LONGEST_TAG = 60;
const NORMAL = 3;

/**
 * @typedef {{title?: string, text: string, priority: number, tags: string[], click?: string}} Push
 */

/**
 * Reads a push.
 *
 * @param {unknown} data A message's data.
 * @returns {Push} What is shown of it.
 */
export function pushOf(data) {
  const { title, priority, tags, click } = fieldsOf(data);
  const list = Array.isArray(tags) ? tags : [];
  const link = safeLink(click, true);
  const titled = typeof title === "string" && title.trim() !== "";
  // A push may be its title alone.
  const text = titled && fieldsOf(data).text === undefined ? "" : textOf(data);
  return {
    ...(titled ? { title: title.slice(0, LONGEST_TITLE) } : {}),
    text,
    priority: typeof priority === "number" && [1, 2, 3, 4, 5].includes(priority)
      ? priority
      : NORMAL,
    tags: list.filter((tag) => typeof tag === "string" && tag.trim() !== "").slice(0, MOST_TAGS)
      .map((tag) => tag.slice(0, LONGEST_TAG)),
    ...(link === undefined ? {} : { click: link }),
  };
}

/**
 * Makes a push's data of what was typed; what was left empty isn't in it.
 *
 * @param {{text: string, title: string, priority: number, tags: string, click: string}} typed What was typed.
 * @returns {Record<string, unknown>} The data.
 */
export function dataOf({ text, title, priority, tags, click }) {
  const list = tags.split(/[,，、]/u).map((tag) => tag.trim()).filter((tag) => tag !== "");
  return {
    text,
    ...(title.trim() === "" ? {} : { title: title.trim() }),
    ...(priority === NORMAL ? {} : { priority }),
    ...(list.length === 0 ? {} : { tags: [...new Set(list)].slice(0, MOST_TAGS) }),
    ...(click.trim() === "" ? {} : { click: safeLink(click.trim(), true) ?? click.trim() }),
  };
}

/**
 * A push as it would be typed: what couldn't be sent is changed and sent again.
 *
 * @param {unknown} data A push's data.
 * @returns {{text: string, title: string, priority: number, tags: string, click: string}} What stands in the fields.
 */
export function typedOf(data) {
  const { text, title = "", priority, tags, click = "" } = pushOf(data);
  return { text, title, priority, tags: tags.join(", "), click };
}

/**
 * What a page's address says of a topic; it may be none, and then nobody may be taken for another's listener.
 *
 * @param {string} search What follows the path, with its `?`.
 * @returns {string} What stands there; the topic of the demo where nothing does.
 */
export function askedTopic(search) {
  return new URLSearchParams(search).get("topic") || TOPIC;
}

/**
 * A topic by the name that somebody typed.
 *
 * @param {string} typed What was typed.
 * @returns {string | undefined} The topic, or undefined where none can be called so.
 */
export function topicName(typed) {
  // To normalize a heap of marks takes the square of its size.
  if (typed.length > LONGEST_TYPED) return undefined;
  const name = typed.trim().replace(/\s+/gu, "-").normalize("NFC");
  const fits = NAME.test(name) && new TextEncoder().encode(name).length <= NAME_BYTES;
  return fits ? name : undefined;
}
