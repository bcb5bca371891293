// @ts-check
/** Reads what can be asked out of openapi.yaml and asyncapi.yaml, as their lines stand there: no parser goes to a browser. */

/**
 * Lists operations with their summaries.
 *
 * @param {string} yaml The text of a description of ours.
 * @returns {{name: string, summary: string}[]} Method and path, or the verb, each with its summary.
 */
export function outline(yaml) {
  /** @type {{name: string, summary: string}[]} */
  const found = [];
  let section = "";
  let path = "";
  let name = "";
  for (const line of yaml.split("\n")) {
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
  }
  return found;
}
