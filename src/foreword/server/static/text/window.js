/**
 * The context window: how much of the text before the cursor the model is given.
 *
 * @typedef {import("./tokenizer.js").Tokenizer} Tokenizer
 * @typedef {{tokenIds: number[], dropped: number}} Window  The tokens a model is given, and how
 *   many of the prompt's were left out before them.
 */

import { bytesOf, validTextOf } from "./bytes.js";
import { beginsWithSpace, divides } from "./words.js";

/** Code units of a token, at most, where a text is worth its tokens. */
const CHARACTERS = 16;
const STRIDE = 4096;
/** Tokens looked through, at most, for one that begins a word. */
const NEAR = 16;

/**
 * Keeps the end of a prompt, at most `limit` >= 1 tokens of it.
 *
 * What is kept begins at a word where one begins near the cut, else at a character. A leading
 * `start` token, where given, is kept as well and counts.
 * @param {number[]} tokenIds
 * @param {number} limit
 * @param {Tokenizer} tokenizer
 * @param {number | null} start
 * @returns {Window}
 */
export function keepEnd(tokenIds, limit, tokenizer, start = null) {
  if (tokenIds.length <= limit) return { tokenIds: [...tokenIds], dropped: 0 };
  const head = headOf(tokenIds, start);
  const from = tokenIds.length - Math.max(limit - head.length, 1);
  return cut(tokenIds, from, head, limit, tokenizer);
}

/**
 * Keeps the end of a prompt as `keepEnd` does, or up to a quarter less.
 *
 * The beginning stays where it is while a quarter of the window is typed: what is computed of it is
 * not computed anew at every key.
 * @param {number[]} tokenIds
 * @param {number} limit
 * @param {Tokenizer} tokenizer
 * @param {number | null} start
 * @returns {Window}
 */
export function keepSteady(tokenIds, limit, tokenizer, start = null) {
  const over = tokenIds.length - limit;
  if (over <= 0) return { tokenIds: [...tokenIds], dropped: 0 };
  const head = headOf(tokenIds, start);
  const stride = Math.max(Math.floor(limit / 4), 1);
  const from = Math.min(Math.ceil(over / stride) * stride + head.length, tokenIds.length - 1);
  return cut(tokenIds, from, head, limit, tokenizer);
}

/**
 * Returns the end of a text that surely has `limit` tokens, or all of it.
 *
 * It begins at a word, where one begins near, and stays there while thousands of characters are
 * typed: so much less has to be cut into tokens at every key.
 * @param {string} text
 * @param {number} limit
 */
export function nearEnd(text, limit) {
  let start = Math.floor((text.length - limit * CHARACTERS) / STRIDE) * STRIDE;
  if (start <= 0) return text;
  for (let index = start; index < Math.min(start + 64, text.length); index += 1) {
    if (beginsWithSpace(text[index])) return text.slice(index);
  }
  while (start < text.length && !divides(text.slice(0, start), text.slice(start))) start += 1;
  return text.slice(start);
}

/**
 * @param {number[]} tokenIds
 * @param {number | null} start
 */
function headOf(tokenIds, start) {
  return start !== null && tokenIds[0] === start ? [start] : [];
}

/**
 * @param {number[]} tokenIds
 * @param {number} from
 * @param {number[]} head
 * @param {number} limit
 * @param {Tokenizer} tokenizer
 * @returns {Window}
 */
function cut(tokenIds, from, head, limit, tokenizer) {
  const piecesOf = (ids) => ids.map((id) => bytesOf(tokenizer.tokenBytes(id)));
  const before = piecesOf(tokenIds.slice(Math.max(from - NEAR, head.length), from)).join("");
  const tail = tokenIds.slice(from);
  const skip = firstBoundary(before, piecesOf(tail.slice(0, NEAR)), tail.length);
  const kept = [...head, ...tail.slice(skip)].slice(-limit);
  return { tokenIds: kept, dropped: tokenIds.length - kept.length };
}

/**
 * The index of the first token that begins a word, else a character, else 0.
 * @param {string} before
 * @param {string[]} near  Bytes of the first tokens.
 * @param {number} count  How many tokens there are.
 */
function firstBoundary(before, near, count) {
  const word = near.slice(0, count - 1).findIndex((piece) => /^[ \t-\r]/.test(piece));
  if (word >= 0) return word;
  for (const [index, piece] of near.entries()) {
    if (!piece || (piece.charCodeAt(0) & 0xc0) === 0x80) continue; // no continuation byte
    const earlier = validTextOf(before + near.slice(0, index).join(""));
    if (divides(earlier, validTextOf(near.slice(index).join("")))) return index;
  }
  return 0;
}
