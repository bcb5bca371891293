// @ts-check
/** What is being typed on the send page: it outlives a reload of its tab, and nothing else. */
import { keep, recall } from "../../ui/storage.js";
import { fieldsOf } from "../../ui/text/text.js";
import { empty } from "./fields.js";

const STORED = "fanfare.push.draft";
/** A longer text isn't taken by the server anyway, and storage is small. */
const LONGEST = 200_000;

/** @returns {typeof empty} What was typed before the reload. */
export function recallDraft() {
  const kept = fieldsOf(recall(STORED, "sessionStorage"));
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
  const { length } = Object.values(typed).join("");
  if (length <= LONGEST) keep(STORED, typed, "sessionStorage");
}
