// @ts-check
/** Reads what can be asked out of openapi.yaml and asyncapi.yaml, as their lines stand there: no parser goes to a browser. */

/**
 * What can be asked.
 *
 * @typedef {object} Offer
 * @property {string} name Method and path, or the verb.
 * @property {string} summary In English.
 * @property {string} [chinese] The same in Chinese.
 * @property {string} [curl] A line for a shell, with `$URL` and `$TOKEN` in it.
 */

/**
 * Lists what a description offers.
 *
 * @param {string} yaml The text of a description of ours.
 * @returns {Offer[]} In their order.
 */
export function outline(yaml) {
  /** @type {Offer[]} */
  const found = [];
  let section = "";
  let path = "";
  let name = "";
  let inCurl = false;
  for (const line of yaml.split("\n")) {
    const last = found.at(-1);
    if (inCurl && last !== undefined) last.curl = line.trim();
    inCurl = line === "      x-curl: |";
    const [, top] = /^(\w+):/.exec(line) ?? [];
    if (top !== undefined) section = top;
    const [, address] = /^ {2}(\/\S*):$/.exec(line) ?? [];
    if (address !== undefined) path = address;
    const [, method] = /^ {4}(get|post|put|delete):$/.exec(line) ?? [];
    if (method !== undefined) name = `${method.toUpperCase()} ${path}`;
    const [, message] = /^ {4}(\w+):$/.exec(line) ?? [];
    if (section === "components" && message !== undefined) name = message;
    const [, summary] = /^ {6}summary: (.*)$/.exec(line) ?? [];
    if (summary !== undefined) found.push({ name, summary });
    const [, chinese] = /^ {6}x-summary-zh: (.*)$/.exec(line) ?? [];
    if (chinese !== undefined && last !== undefined) last.chinese = chinese;
  }
  return found;
}
