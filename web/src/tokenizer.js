/**
 * Text to token ids, and tokens to bytes: bundle/tokenizer.py over `@huggingface/tokenizers`.
 */

import { Tokenizer as Core } from "@huggingface/tokenizers";

import { followable, UnsupportedTokenizerError } from "./tokenizer_rules.js";

export { UnsupportedTokenizerError };

const encoder = new TextEncoder();

/** A bundle's tokenizer: byte-level BPE, or SentencePiece BPE with byte fallback. */
export class Tokenizer {
  #core;
  #toBytes;
  /** @type {string[]} By their ids. */
  #tokens = [];
  /** @type {Map<number, Uint8Array>} Tokens that no merging makes; control tokens have no bytes. */
  #added = new Map();

  /**
   * Reads what a tokenizer.json holds; throws UnsupportedTokenizerError for one that cannot be
   * followed here.
   * @param {any} document
   */
  constructor(document) {
    this.#core = new Core(followable(document), {});
    this.#toBytes = byteRule(document.decoder);
    for (const [token, id] of Object.entries(document.model.vocab)) this.#tokens[id] = token;
    for (const { id, content, special } of document.added_tokens ?? []) {
      this.#tokens[id] = content;
      this.#added.set(id, special ? new Uint8Array() : encoder.encode(content));
    }
    this.vocabularySize = this.#tokens.length;
  }

  /**
   * Returns the token ids of a text, none of them a control token's.
   *
   * Bytes for which the vocabulary has no token are left out. A SentencePiece vocabulary begins
   * every text with a space.
   * @param {string} text
   * @returns {number[]}
   */
  encode(text) {
    const { ids } = this.#core.encode(text, { add_special_tokens: false });
    if (!ids.some((id) => this.#isControl(id))) return ids;
    return ids.flatMap((id) => (this.#isControl(id) ? this.#spelled(id) : [id]));
  }

  /**
   * Returns the exact bytes a token stands for, none for a control token.
   * @param {number} id
   * @returns {Uint8Array}
   */
  tokenBytes(id) {
    const token = this.#tokens[id];
    if (token === undefined) {
      throw new RangeError(`token id ${id}: expected 0 to ${this.vocabularySize - 1}`);
    }
    return this.#added.get(id) ?? this.#toBytes(token);
  }

  /** @param {number} id */
  #isControl(id) {
    return this.#added.get(id)?.length === 0;
  }

  /**
   * A vocabulary that takes whole pieces can find a control token in typed text.
   * @param {number} control
   */
  #spelled(control) {
    const ids = Array.from(this.#tokens[control], (symbol) => this.#core.token_to_id(symbol));
    return ids.filter((id) => id !== undefined && !this.#isControl(id));
  }
}

/**
 * Tells from its decoder how a tokenizer writes bytes in tokens.
 * @param {any} decoder
 * @returns {(token: string) => Uint8Array}
 */
function byteRule(decoder) {
  const kinds = (decoder?.decoders ?? [decoder]).map((step) => step?.type);
  if (kinds.includes("ByteLevel")) return byteLevelRule();
  if (kinds.includes("ByteFallback")) return sentencePieceBytes;
  throw new UnsupportedTokenizerError("it does not hold every byte");
}

/** The bytes that the characters of the byte-level alphabet stand for (GPT-2, 2019). */
function byteLevelRule() {
  const shown = (byte) =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte < 0x100 && byte !== 0xad);
  const byteOf = new Map();
  let hidden = 256;
  for (let byte = 0; byte < 256; byte += 1) {
    byteOf.set(String.fromCharCode(shown(byte) ? byte : hidden), byte);
    if (!shown(byte)) hidden += 1;
  }
  return (/** @type {string} */ token) => {
    const bytes = Array.from(token, (character) => byteOf.get(character));
    return bytes.includes(undefined) ? encoder.encode(token) : Uint8Array.from(bytes);
  };
}

/** @param {string} token */
function sentencePieceBytes(token) {
  const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return hex ? Uint8Array.of(parseInt(hex, 16)) : encoder.encode(token.replaceAll("▁", " "));
}
