/**
 * Content negotiation: which of the things on offer a client likes best (RFC 9110 section 12.5).
 *
 * @module
 */

/** One item of an `Accept…` header. `specificity` is `undefined` where an offer doesn't fit. */
interface Range {
  /** The item without its parameters. */
  text: string;
  /** Its weight, 1 if none is given. */
  quality: number;
  /** Its place in the header, the last criterion between offers that fit equally well. */
  place: number;
  /** How closely it names this offer: the greater, the closer. */
  specificity(offer: string): number | undefined;
}

/**
 * Lists the media types that a request accepts, the best first.
 *
 * @param request The request, or what has its headers.
 * @returns The media types without parameters, `["*\/*"]` if the request names none.
 */
export function accepts(request: Pick<Request, "headers">): string[];
/**
 * Picks the media type that a request likes best.
 *
 * @typeParam T The media types on offer.
 * @param request The request, or what has its headers.
 * @param types The media types on offer, the server's own favourite first.
 * @returns The best of them, or `undefined` if none is accepted.
 */
export function accepts<T extends string = string>(
  request: Pick<Request, "headers">,
  ...types: T[]
): T | undefined;
export function accepts(
  request: Pick<Request, "headers">,
  ...types: string[]
): string | string[] | undefined {
  return negotiate(request.headers.get("accept"), types, "*/*", mediaRanges);
}

/**
 * Lists the content encodings that a request accepts, the best first. `identity` is added where
 * the request says nothing of it.
 *
 * @param request The request, or what has its headers.
 * @returns The encodings, `["*"]` if the request names none.
 */
export function acceptsEncodings(request: Pick<Request, "headers">): string[];
/**
 * Picks the content encoding that a request likes best. Offer `identity` too, so that there is
 * always one.
 *
 * @typeParam T The encodings on offer.
 * @param request The request, or what has its headers.
 * @param encodings The encodings on offer, the server's own favourite first.
 * @returns The best of them, or `undefined` if none is accepted.
 */
export function acceptsEncodings<T extends string = string>(
  request: Pick<Request, "headers">,
  ...encodings: T[]
): T | undefined;
export function acceptsEncodings(
  request: Pick<Request, "headers">,
  ...encodings: string[]
): string | string[] | undefined {
  return negotiate(request.headers.get("accept-encoding"), encodings, "*", encodingRanges);
}

/**
 * Lists the languages that a request accepts, the best first.
 *
 * @param request The request, or what has its headers.
 * @returns The languages, `["*"]` if the request names none.
 */
export function acceptsLanguages(request: Pick<Request, "headers">): string[];
/**
 * Picks the language that a request likes best. Two languages with the same first part, such as
 * `en-GB` and `en-US`, fit each other.
 *
 * @typeParam T The languages on offer.
 * @param request The request, or what has its headers.
 * @param langs The languages on offer, the server's own favourite first.
 * @returns The best of them, or `undefined` if none is accepted.
 */
export function acceptsLanguages<T extends string = string>(
  request: Pick<Request, "headers">,
  ...langs: T[]
): T | undefined;
export function acceptsLanguages(
  request: Pick<Request, "headers">,
  ...langs: string[]
): string | string[] | undefined {
  return negotiate(request.headers.get("accept-language"), langs, "*", languageRanges);
}

function negotiate(
  header: string | null,
  offers: string[],
  all: string,
  parse: (header: string) => Range[],
): string | string[] | undefined {
  if (!header) return offers.length > 0 ? offers[0] : [all];
  const ranges = parse(header);
  if (offers.length > 0) return best(ranges, offers);
  return ranges
    .filter((range) => range.quality > 0)
    .sort((a, b) => b.quality - a.quality)
    .map((range) => range.text);
}

/** Each offer takes its closest range; among the offers quality counts first, then closeness. */
function best(ranges: Range[], offers: string[]): string | undefined {
  const rated = offers.map((offer) => {
    let top = { offer, closeness: 0, quality: 0, place: -1 };
    for (const { specificity, quality, place } of ranges) {
      const closeness = specificity(offer);
      if (closeness === undefined) continue;
      const order = closeness - top.closeness || quality - top.quality || place - top.place;
      if (order > 0) top = { offer, closeness, quality, place };
    }
    return top;
  });
  const [first] = rated
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality || b.closeness - a.closeness || a.place - b.place);
  return first?.offer;
}

function mediaRanges(header: string): Range[] {
  return header.split(",").flatMap((item) => {
    const range = parseMediaType(item);
    if (!range) return [];
    const { type, subtype, quality, params } = range;
    return {
      text: `${type}/${subtype}`,
      quality,
      place: 0,
      specificity(offer: string): number | undefined {
        const offered = parseMediaType(offer);
        if (!offered) return undefined;
        const byType = same(type, offered.type);
        const bySubtype = same(subtype, offered.subtype);
        if (!byType && type !== "*" || !bySubtype && subtype !== "*") return undefined;
        const fits = ([key, value]: [string, string]) => same(value, offered.params.get(key) ?? "");
        if (![...params].every(fits)) return undefined;
        return (byType ? 4 : 0) + (bySubtype ? 2 : 0) + (params.size > 0 ? 1 : 0);
      },
    };
  });
}

/** Parameters that stand behind `q` belong to the weight and not to the type. */
function parseMediaType(item: string) {
  const match = /^([^\s/;]+)\/([^;\s]+)\s*(?:;(.*))?$/.exec(item.trim());
  if (!match) return undefined;
  const [, type = "", subtype = "", rest = ""] = match;
  const params = new Map<string, string>();
  for (const param of rest ? rest.split(";") : []) {
    const [key = "", raw = ""] = param.trim().split("=");
    const value = raw.replace(/^"(.*)"$/, "$1");
    if (key.toLowerCase() === "q" && value) {
      return { type, subtype, params, quality: Number.parseFloat(value) };
    }
    params.set(key.toLowerCase(), value);
  }
  return { type, subtype, params, quality: 1 };
}

function languageRanges(header: string): Range[] {
  return header.split(",").flatMap((item, place) => {
    const range = parseWeighted(item);
    if (!range || !isLanguage(range.text)) return [];
    const { text, quality } = range;
    const specificity = (offer: string): number | undefined => {
      const language = (offer.split(";")[0] ?? "").trim();
      if (!isLanguage(language)) return undefined;
      if (same(text, language)) return 4;
      if (same(firstPart(text), firstPart(language))) return 2;
      return text === "*" ? 0 : undefined;
    };
    return { text, quality, place, specificity };
  });
}

function isLanguage(text: string): boolean {
  return /^[^\s\-;]+(-[^\s;]+)?$/.test(text);
}

function firstPart(language: string): string {
  return language.split("-")[0] ?? "";
}

function encodingRanges(header: string): Range[] {
  const items = header.split(",");
  const fits = (text: string) => (offer: string) =>
    same(text, offer) ? 1 : text === "*" ? 0 : undefined;
  const ranges = items.flatMap((item, place): Range[] => {
    const range = parseWeighted(item);
    return range ? [{ ...range, place, specificity: fits(range.text) }] : [];
  });
  if (ranges.every(({ specificity }) => specificity("identity") === undefined)) {
    const quality = Math.min(1, ...ranges.map((range) => range.quality || 1));
    const place = items.length - 1;
    ranges.push({ text: "identity", quality, place, specificity: fits("identity") });
  }
  return ranges;
}

function parseWeighted(item: string): Pick<Range, "text" | "quality"> | undefined {
  const match = /^([^\s;]+)\s*(?:;(.*))?$/.exec(item.trim());
  if (!match) return undefined;
  const [, text = "", rest = ""] = match;
  for (const param of rest.split(";")) {
    const [key, value] = param.trim().split("=");
    if (key === "q" && value) return { text, quality: Number.parseFloat(value) };
  }
  return { text, quality: 1 };
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
