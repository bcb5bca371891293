// @ts-check
/** What is being typed on the send page: it outlives a reload of its tab, and nothing else. */
import { fieldsOf } from "../parts/stored.js";
import { empty } from "./fields.js";

const STORED = "fanfare.push.draft";
/** A longer text isn't taken by the server anyway, and storage is small. */
const LONGEST = 200_000;

/** @returns {typeof empty} What was typed before the reload. */
export function recallDraft() {
  const kept = fieldsOf(read());
  const text = (/** @type {"text" | "title" | "tags" | "click"} */ name) => {
    const value = kept[name];
    return typeof value === "string" ? value : empty[name];
  };
  const { priority } = kept;
  return {
    ...{ text: text("text"), title: text("title"), tags: text("tags"), click: text("click") },
    priority: typeof priority === "number" && [1, 2, 3, 4, 5].includes(priority)
      ? priority
      : empty.priority,
  };
}

/** @param {typeof empty} typed What is typed now. */
export function keepDraft(typed) {
  const text = JSON.stringify(typed);
  try {
    if (text.length <= LONGEST) sessionStorage.setItem(STORED, text);
  } catch {
    // Storage may be forbidden or full: it lasts as long as the page then.
  }
}

/** @returns {unknown} What was kept. */
function read() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED) ?? "null");
  } catch {
    return undefined;
  }
}
