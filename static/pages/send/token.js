// @ts-check
/** Asks for the admin token, once: the server answers with a cookie that no script sees. */
import { html, useState } from "../../ui/preact.js";
import { toast } from "../../ui/page_frame.js";
import { t } from "../../ui/i18n.js";
import { keep, recall } from "../../ui/storage.js";

const TAKEN = "fanfare-token-taken";

/**
 * The form.
 *
 * @param {{leave: () => void}} props Called before the page is loaded anew.
 * @returns {unknown} The part.
 */
export function Token({ leave }) {
  const [token, setToken] = useState("");
  const [asking, setAsking] = useState(false);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (token === "" || asking) return;
    setAsking(true);
    const status = await show(token);
    setAsking(false);
    if (status !== 200) {
      return toast(t(status === 401 ? "tokenWrong" : status === 429 ? "tokenOften" : "lost"), true);
    }
    keep(TAKEN, true, "sessionStorage");
    leave();
    // The connection that stands was made without it.
    location.reload();
  };
  return html`
    <form class="token" aria-label=${t("tokenLabel")} onSubmit=${submit}>
      <p>${t("tokenNeeded")}</p>
      <label for="token">${t("tokenLabel")}</label>
      <input id="token" type="password" autocomplete="current-password" value=${token}
        onInput=${(/** @type {any} */ event) => setToken(event.currentTarget.value)} />
      <button type="submit" disabled=${asking}>${t("tokenUse")}</button>
    </form>
  `;
}

/**
 * Tells, once, whether the token was taken just before this page was loaded: what failed for want of it is tried again.
 *
 * @returns {boolean} Whether it was.
 */
export function wasTaken() {
  const taken = recall(TAKEN, "sessionStorage") === true;
  if (taken) keep(TAKEN, false, "sessionStorage");
  return taken;
}

/** @param {string} token The token. @returns {Promise<number>} The server's status, 0 where it can't be asked. */
async function show(token) {
  try {
    return (await fetch("/token/", { method: "POST", body: new URLSearchParams({ token }) }))
      .status;
  } catch {
    return 0;
  }
}
