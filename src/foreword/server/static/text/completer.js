/**
 * From a text to what may follow it, whatever model is behind it.
 *
 * @typedef {import("./suggestion.js").Answer} Answer
 * @typedef {import("./suggestion.js").OnWords} OnWords
 * @typedef {import("./suggestion.js").Policy} Policy
 * @typedef {import("./suggestion.js").Suggestion} Suggestion
 * @typedef {import("./tokenizer.js").TokenModel} TokenModel
 * @typedef {import("./drafts.js").Request} Request
 */

import { bytesOf, validTextOf } from "./bytes.js";
import { Drafts, Refused } from "./drafts.js";
import { heal, Pieces } from "./healing.js";
import { Scores } from "./scores.js";
import { wholePolicy } from "./suggestion.js";
import { keepSteady, nearEnd } from "./window.js";
import { lastWords, partsOf } from "./words.js";

/** Completes texts with a language model, one request at a time. */
export class Completer {
  #model;
  #filter;
  #scores;
  /** @type {Pieces | null} */
  #pieces = null;

  /**
   * @param {TokenModel} model
   * @param {import("./safety.js").Filter} filter  Keeps bad words out.
   */
  constructor(model, filter) {
    this.#model = model;
    this.#filter = filter;
    this.#scores = new Scores(model);
  }

  /**
   * Returns what may follow the cursor at the end of a text; no items where none is sure.
   *
   * A text in whose window there is a bad word is refused as input, and one after which nothing but
   * bad words came as output. A suggestion does not repeat the policy's `suffix`. `onWords` is told
   * the first suggestion's text as it grows by words, each a beginning of the next and of the one
   * returned, which then is first among alternatives. Rejects with an AbortError where it is called
   * off, and with a RangeError for a policy outside its range.
   * @param {string} text
   * @param {Policy} policy
   * @param {AbortSignal} [signal]
   * @param {OnWords} [onWords]
   * @returns {Promise<Answer>}
   */
  async suggest(text, policy, signal, onWords) {
    const started = performance.now();
    signal?.throwIfAborted();
    const whole = wholePolicy(policy);
    const { seen, tokenIds, dropped } = this.#seen(wellFormed(text), whole);
    const computed = this.#model.computedTokens;
    /** @type {Suggestion[]} */
    let items = [];
    /** @type {Answer["refused"]} */
    let refused = null;
    try {
      if (/[^\p{White_Space}\x1c-\x1f]/u.test(seen)) {
        items = await this.#items(tokenIds, { before: seen, policy: whole, signal, onWords });
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused = error.typed ? "input" : "output";
    }
    return {
      items,
      refused,
      context_tokens: tokenIds.length,
      dropped_tokens: dropped,
      computed_tokens: this.#model.computedTokens - computed,
      latency_ms: performance.now() - started,
    };
  }

  /**
   * Returns the end of a text that counts, and its tokens.
   * @param {string} text
   * @param {ReturnType<typeof wholePolicy>} policy
   */
  #seen(text, policy) {
    const { context, firstToken, tokenizer } = this.#model;
    const limit = policy.context_tokens ?? Math.floor(context / 2);
    if (limit > context) {
      throw new RangeError(`context_tokens: this model holds ${context}, found ${limit}`);
    }
    let seen = nearEnd(text, limit);
    if (policy.context_words !== null) seen = lastWords(seen, policy.context_words);
    const head = firstToken === null ? [] : [firstToken];
    const encoded = [...head, ...tokenizer.encode(seen)];
    const { tokenIds, dropped } = keepSteady(encoded, limit, tokenizer, firstToken);
    if (dropped > 0) {
      const kept = tokenIds.slice(head.length);
      seen = validTextOf(kept.map((id) => bytesOf(tokenizer.tokenBytes(id))).join(""));
    }
    return { seen, tokenIds, dropped };
  }

  /**
   * @param {number[]} tokenIds
   * @param {Request} request
   */
  async #items(tokenIds, request) {
    const { tokenizer, firstToken } = this.#model;
    const scan = this.#filter.scan();
    if (scan.feed(request.before)) throw new Refused(true);
    const healed = heal(tokenIds, tokenizer, firstToken);
    this.#pieces ??= new Pieces(tokenizer);
    const drafts = new Drafts(this.#scores, this.#pieces, healed, scan, request);
    return alternatives(drafts, this.#pieces, healed.typed.length, request);
  }
}

/**
 * Returns distinct suggestions, those likeliest by the token first.
 *
 * They share the tokens of what is typed and part at the first one beyond it. One of which
 * `onWords` was told stays the first.
 * @param {Drafts} drafts
 * @param {Pieces} pieces
 * @param {number} typedBytes
 * @param {Request} request
 */
async function alternatives(drafts, pieces, typedBytes, request) {
  const wanted = request.policy.alternatives;
  let {
    onWords,
    policy: { confidence: threshold },
  } = request;
  /** @type {Suggestion[]} */
  const found = [];
  const firsts = new Set();
  const banned = new Set();
  let place = 0;
  for (let i = 0; i < 2 * wanted; i += 1) {
    let draft, suggestion;
    try {
      [draft, suggestion] = await drafts.grow(new Map([[place, banned]]), threshold, onWords);
    } catch (error) {
      if (!(error instanceof Refused) || found.length === 0) throw error;
      break;
    }
    if (suggestion) {
      if (found.length === 0 && suggestion !== draft.shown) onWords?.(suggestion.text);
      const first = suggestion.text.slice(0, partsOf(suggestion.text)[0].end);
      if (!firsts.has(first)) found.push(suggestion);
      firsts.add(first);
    } else if (found.length === 0) {
      return [];
    }
    if (found.length === wanted) break;
    if (banned.size === 0) place = parting(draft.tokenIds, pieces, typedBytes);
    if (place >= draft.tokenIds.length) break;
    banned.add(draft.tokenIds[place]);
    threshold = 0;
    onWords = undefined;
  }
  const mean = ({ logprob, tokens }) => logprob / Math.max(tokens, 1);
  const kept = request.onWords ? 1 : 0;
  return [...found.slice(0, kept), ...found.slice(kept).sort((a, b) => mean(b) - mean(a))];
}

/**
 * Returns the place of the first token that goes beyond what is typed.
 * @param {number[]} tokenIds
 * @param {Pieces} pieces
 * @param {number} typedBytes
 */
function parting(tokenIds, pieces, typedBytes) {
  let size = 0;
  const place = tokenIds.findIndex((id) => (size += pieces.of[id].length) > typedBytes);
  return place < 0 ? tokenIds.length : place;
}

/**
 * Returns a text with U+FFFD for half a pair of surrogates, which is no character.
 * @param {string} text
 */
function wellFormed(text) {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}
