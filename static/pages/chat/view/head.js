// @ts-check
/** What stands above a conversation: what it is, who is there, and the way out. */
import { html } from "../../../ui/preact.js";
import { Icon } from "../../../ui/icons.js";
import { t } from "../../../ui/i18n.js";
import { LOBBY, partner } from "../model/channels.js";
import { Badge, titleOf } from "./conversations.js";

/**
 * The heading of the conversation that is open.
 *
 * @param {{state: import("../model/chat_state.js").ChatState, elsewhere: number, leave: (channel: string) => void}} props The state, how much wasn't read in others, and what leaves a room.
 * @returns {unknown} The part.
 */
export function Head({ state, elsewhere, leave }) {
  const { open, account, rosters } = state;
  const other = partner(open, account);
  const name = titleOf(state, open);
  const hint = other === undefined
    ? t("roomHint")
    : other === account
    ? t("notesHint")
    : t("privateHint", { name });
  const count = rosters[open]?.count;
  return html`<header class="head">
    <a class="button quiet to-list" href="#list" title=${
    t("back")
  }><${Icon} name="back" /><span class="sr">${t("back")}</span>${
    elsewhere > 0 && html`<${Badge} unread=${elsewhere} called=${elsewhere} />`
  }</a>
    <div class="title">
      <h1>${
    other === undefined
      ? html`<span class="hash" aria-hidden="true">#</span>`
      : html`<${Icon} name="lock" />`
  }<bdi>${name}</bdi></h1>
      <p class="hint">${hint}</p>
    </div>
    ${
    count !== undefined &&
    html`
      <a class="button quiet present" href="#list"
        aria-label=${t("onlineCount", {
          n: count,
        })}><${Icon} name="people" /><span class="long">${t("onlineCount", {
          n: count,
        })}</span><span class="short">${count}</span></a>
    `
  }
    ${
    other === undefined && open !== LOBBY &&
    html`
      <button type="button" class="quiet" title=${t("leave")} aria-label=${t("leave")}
        onClick=${() => leave(open)}><${Icon} name="door" /></button>
    `
  }
  </header>`;
}
