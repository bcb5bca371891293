// @ts-check
/** The one import of the libraries that draw. */
import { h, render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { computed, effect, signal } from "@preact/signals";
import htm from "htm";

// htm's types describe CommonJS, what is served is its module.
const bound =
  /** @type {{bind(h: unknown): (strings: TemplateStringsArray, ...values: unknown[]) => any}} */ (/** @type {unknown} */ (htm));

/** Draws: a template in htm's syntax, every value in it a text or a part, never markup. */
export const html = bound.bind(h);

/**
 * Keeps a page's state: a pure reducer behind a signal.
 *
 * @template S, A
 * @param {(state: S, action: A) => S} reduce Makes the next state.
 * @param {S} initial The first.
 * @returns {{state: import("@preact/signals").Signal<S>, dispatch: (...actions: A[]) => void}} The state and what changes it; several actions are drawn once.
 */
export function store(reduce, initial) {
  const state = signal(initial);
  return {
    state,
    dispatch: (...actions) => void (state.value = actions.reduce(reduce, state.value)),
  };
}

export { computed, effect, render, signal, useEffect, useLayoutEffect, useMemo, useRef, useState };
