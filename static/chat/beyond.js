// @ts-check
/** Among many conversations: what wasn't read above and below of what one sees of the list, and the way there. */
import { html, useEffect, useState } from "../ui.js";
import { Icon } from "../parts/icons.js";
import { counted } from "../parts/i18n.js";

/** @typedef {"up" | "down"} Way */

/**
 * Watches which conversations with something new are out of sight.
 *
 * @param {{current: HTMLElement | null}} list Where their links are.
 * @param {readonly string[]} unread Their channels.
 * @returns {Readonly<Record<Way, readonly Element[]>>} The links above and below.
 */
export function useBeyond(list, unread) {
  const [beyond, setBeyond] = useState({ up: noLinks, down: noLinks });
  useEffect(() => {
    /** @type {Map<Element, Way>} */
    const hidden = new Map();
    const watch = new IntersectionObserver((entries) => {
      const top = Math.max(0, list.current?.getBoundingClientRect().top ?? 0);
      for (const { target, isIntersecting, boundingClientRect } of entries) {
        if (isIntersecting) hidden.delete(target);
        else hidden.set(target, boundingClientRect.top < top ? "up" : "down");
      }
      const all = [...hidden];
      const on = (/** @type {Way} */ side) =>
        all.filter(([, way]) => way === side).map(([link]) => link);
      setBeyond({ up: on("up"), down: on("down") });
    });
    const links = list.current?.querySelectorAll(".talk.unread") ?? [];
    for (const link of links) watch.observe(link);
    // Else what was known so far stands until the first look: a button that goes for a moment loses the focus, and a click.
    if (links.length === 0) setBeyond({ up: noLinks, down: noLinks });
    return () => watch.disconnect();
  }, [unread.join(" ")]);
  return beyond;
}

/** @type {Element[]} */
const noLinks = [];

/**
 * The way to them.
 *
 * @param {{way: Way, links: readonly Element[]}} props Where they are, and which.
 * @returns {unknown} The part; nothing where there are none.
 */
export function Beyond({ way, links }) {
  if (links.length === 0) return null;
  const inOrder = links.toSorted((a, b) =>
    a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1
  );
  const next = inOrder.at(way === "up" ? -1 : 0);
  const go = () => {
    next?.scrollIntoView({ block: "center" });
    // The button may go: by keyboard one goes on from there.
    if (next instanceof HTMLElement) next.focus({ preventScroll: true });
  };
  return html`
    <div class=${`beyond ${way}`}>
      <button type="button" onClick=${go}><${Icon} name=${way} />${counted(
        "unreadOne",
        "unreadMany",
        links.length,
      )}</button>
    </div>
  `;
}
