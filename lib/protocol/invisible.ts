/** Characters that nobody sees: where a name may have them, and where it is refused (threats.md M14). */

// Cf has the bidirectional overrides and the zero-width characters; a braille cell without dots is drawn as a blank.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;

// Variation selectors and joiners are part of an emoji.
const EMOJI = /\p{RGI_Emoji}/gv;

// Every character of canonical combining class 9 (Unicode 16).
const VIRAMAS =
  "\\u094d\\u09cd\\u0a4d\\u0acd\\u0b4d\\u0bcd\\u0c4d\\u0ccd\\u0d3b\\u0d3c\\u0d4d\\u0dca\\u0e3a" +
  "\\u0eba\\u0f84\\u1039\\u103a\\u1714\\u1715\\u1734\\u17d2\\u1a60\\u1b44\\u1baa\\u1bab\\u1bf2" +
  "\\u1bf3\\u2d7f\\ua806\\ua82c\\ua8c4\\ua953\\ua9c0\\uaaf6\\uabed\\u{10a3f}\\u{11046}" +
  "\\u{11070}\\u{1107f}\\u{110b9}\\u{11133}\\u{11134}\\u{111c0}\\u{11235}\\u{112ea}" +
  "\\u{1134d}\\u{113ce}-\\u{113d0}\\u{11442}\\u{114c2}\\u{115bf}\\u{1163f}\\u{116b6}" +
  "\\u{1172b}\\u{11839}\\u{1193d}\\u{1193e}\\u{119e0}\\u{11a34}\\u{11a47}\\u{11a99}" +
  "\\u{11c3f}\\u{11d44}\\u{11d45}\\u{11d97}\\u{11f41}\\u{11f42}\\u{1612f}";

// Arabic and Syriac letters that join no letter after them: behind these a non-joiner changes nothing.
const UNJOINED =
  "\\u0621-\\u0625\\u0627\\u0629\\u062f-\\u0632\\u0648\\u0671-\\u0677\\u0688-\\u0699\\u06c0\\u06c3-\\u06cb" +
  "\\u06cd\\u06cf\\u06d2\\u06d3\\u06d5\\u06ee\\u06ef\\u0710\\u0715-\\u0719\\u071e\\u0728\\u072a\\u072c\\u072f" +
  "\\u074d\\u0759-\\u075b\\u076b\\u076c\\u0771\\u0773\\u0774\\u0778\\u0779\\u08aa-\\u08ac\\u08ae\\u08b1\\u08b2\\u08b9";
const LETTER = "[[\\p{Script=Arabic}\\p{Script=Syriac}]&&\\p{L}]";

// RFC 5892, CONTEXTJ: a joiner or non-joiner after a virama, a non-joiner between two letters that would join. Of the second
// rule only Arabic and Syriac letters count, and marks between them.
const JOINERS = new RegExp(
  `[\\u200c\\u200d](?<=[${VIRAMAS}].)|` +
    `\\u200c(?<=[${LETTER}--[${UNJOINED}]]\\p{M}*.)(?=\\p{M}*${LETTER})`,
  "gv",
);

/**
 * Tells whether a text has characters that nobody sees. Those of an emoji, and joiners where RFC 5892 allows them, are none.
 * Takes time in proportion to the text.
 *
 * @param text A name.
 * @returns Whether it has some.
 */
export function hasInvisible(text: string): boolean {
  if (!INVISIBLE.test(text)) return false;
  return INVISIBLE.test(text.replace(EMOJI, "x").replace(JOINERS, "x"));
}
