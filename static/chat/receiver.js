// @ts-check
/** To whom one writes. */
import { html } from "../ui.js";
import { t } from "../parts/i18n.js";
import { partner } from "./channels.js";

/**
 * To whom one writes: everyone in the room, or one of them. It stays while conversations change, so that one may go through
 * it by arrow keys.
 *
 * @param {{state: import("./known.js").ChatState, choose: (account: string) => void}} props The state, and what opens a conversation: with an account, or the room for "".
 * @returns {unknown} The part.
 */
export function Receiver({ state, choose }) {
  const { account, open, room, rosters, names } = state;
  const to = partner(open, account) ?? "";
  const others = (rosters[room]?.members ?? []).filter((member) => member.account !== account)
    .slice(0, 200);
  const away = to !== "" && to !== account && !others.some((member) => member.account === to);
  const name = Object.hasOwn(names, to) ? names[to] : undefined;
  return html`
    <label class="to"><span>${t("to")}</span>
      <select value=${to} onChange=${(/** @type {any} */ event) =>
        choose(event.currentTarget.value)}>
        <option value="">${t("everyone")}</option>
        ${others.map((member) =>
          html`<option key=${member.account} value=${member.account}>${label(member)}</option>`
        )}
        ${away &&
          html`<option key=${to} value=${to}>${label({ account: to, name })} (${
            t("away")
          })</option>`}
        ${account && html`<option value=${account}>${t("notes")}</option>`}
      </select>
    </label>
  `;
}

/** @param {{account: string, name?: string}} member Whom. @returns {string} For a list that knows only text. */
function label({ account, name }) {
  return name ? `${name} · ${account}` : account;
}
