// @ts-check
/**
 * The text to show of a message's data, as codecs that know only text do: `data.text`, else a string, else the JSON.
 *
 * @param {unknown} data A message's data.
 * @returns {string} The text.
 */
export function textOf(data) {
  if (typeof data === "string") return data;
  if (
    typeof data === "object" && data !== null && "text" in data && typeof data.text === "string"
  ) return data.text;
  return JSON.stringify(data);
}
