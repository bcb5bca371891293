// @ts-check
/** The list of members to mention, above the composer. */
import { html } from "../../../ui/preact.js";
import { t } from "../../../ui/i18n.js";
import { Person } from "./person.js";

/** @typedef {import("../model/completion.js").Member} Member */

/**
 * The list of whom one may mean.
 *
 * @param {{members: readonly Member[], at: number, choose: (member: Member) => void}} props Whom, which is marked, and what takes one.
 * @returns {unknown} The part.
 */
export function Completions({ members, at, choose }) {
  return html`<ul class="completions" role="listbox" id="completions" aria-label=${
    t("mentionWhom")
  }>
    ${
    members.map((member, i) =>
      html`
        <li key=${member.account} id=${`completion-${i}`} role="option" aria-selected=${i === at}
          onPointerDown=${(/** @type {Event} */ event) => {
            // Before the box loses its focus.
            event.preventDefault();
            choose(member);
          }}>
          <${Person} account=${member.account} name=${member.name} />
        </li>
      `
    )
  }
  </ul>`;
}
