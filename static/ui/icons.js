// @ts-check
/** Small pictures, drawn in the colour of the text around them. What they mean is said beside them. */
import { html } from "./preact.js";

const PATHS = /** @type {const} */ ({
  again: "M19.5 11A7.5 7.5 0 1017.3 17.3M20 5v6h-6",
  alert: "M12 9v5M12 17v.3M12 3.5L22 20.5H2z",
  back: "M15 5l-7 7 7 7",
  bell: "M6 17V11a6 6 0 0112 0v6l1.5 2h-15zM10 21h4",
  close: "M6 6l12 12M18 6L6 18",
  clock: "M12 7v5l3 2M12 3a9 9 0 110 18 9 9 0 010-18",
  door: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  down: "M12 5v14M6 13l6 6 6-6",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 017 0v3",
  pen: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  people:
    "M9 11a3.2 3.2 0 100-6.4A3.2 3.2 0 009 11M3 20c0-4 2.5-6.2 6-6.2s6 2.2 6 6.2M16 5a3 3 0 010 5.8M17.5 14c2.3.7 3.5 2.8 3.5 6",
  plus: "M12 5v14M5 12h14",
  reply: "M10 6L4 12l6 6M4 12h9c4 0 7 2 7 7",
  send: "M4 12l16-8-6 16-3-7z",
  sound: "M4 10v4h3l5 4V6l-5 4zM15.5 9a4 4 0 010 6M18 6.5a8 8 0 010 11",
  up: "M12 19V5M6 11l6-6 6 6",
});

/**
 * A picture.
 *
 * @param {{name: keyof typeof PATHS}} props Which.
 * @returns {unknown} The part.
 */
export function Icon({ name }) {
  return html`
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"
      fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"
      stroke-linejoin="round">
      <path d=${PATHS[name]} />
    </svg>
  `;
}
