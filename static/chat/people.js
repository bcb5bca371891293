// @ts-check
/** Who is in the room. */
import { html } from "../ui.js";
import { t } from "../parts/i18n.js";
import { directChannel, hashOf } from "./channels.js";
import { Person } from "./person.js";

/** How many are listed; the rest is a number. */
const LISTED = 100;

/**
 * Who is online; each leads to a conversation of two.
 *
 * @param {{members: readonly import("./known.js").Member[], count: number, own?: string}} props The list.
 * @returns {unknown} The part.
 */
export function Members({ members, count, own }) {
  const listed = members.slice(0, LISTED);
  const more = count - listed.length;
  return html`
    <section class="members" aria-labelledby="online">
      <h2 id="online">${t("online")} <span class="count">${count}</span></h2>
      <ul>${listed.map(({ account, name }) =>
        html`<li key=${account}><a href=${
          own === undefined ? "#" : hashOf(directChannel(account, own), own)
        }>
          <${Person} account=${account} name=${name} />${
          account === own && html`<small class="you">${t("you")}</small>`
        }</a></li>`
      )}</ul>
      ${more > 0 && html`<p class="hint">${t("andMore", { n: more })}</p>`}
    </section>
  `;
}
