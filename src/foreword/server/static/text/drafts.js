/**
 * Drafts after one prompt: when it is right to go on, back up or stop.
 *
 * @typedef {import("./healing.js").Healed} Healed
 * @typedef {import("./healing.js").Pieces} Pieces
 * @typedef {import("./scan.js").WordScan} Scan
 * @typedef {import("./threads.js").Match} Match
 * @typedef {import("./suggestion.js").OnWords} OnWords
 * @typedef {import("./suggestion.js").Suggestion} Suggestion
 *
 * @typedef {object} Request  What is asked at one place of a text.
 * @property {string} before  What counts of the text before the cursor.
 * @property {ReturnType<typeof import("./suggestion.js").wholePolicy>} policy
 * @property {AbortSignal} [signal]
 * @property {OnWords} [onWords]
 */

import { calibrated } from "./confidence.js";
import { countUpTo, Draft } from "./draft.js";
import { choose, randomFrom } from "./sampling.js";
import { divides, partsOf, repeatsFrom, sentenceEnd, settledParts } from "./words.js";

/** How often a bad word is avoided before there is no suggestion. */
const TRIES = 3;

/** Every try ended in a bad word; `typed` tells whether it was there before. */
export class Refused extends Error {
  /** @param {boolean} typed */
  constructor(typed) {
    super("nothing but bad words");
    this.typed = typed;
  }
}

/** Drafts after one healed prompt, whose text the `scan` has read. */
export class Drafts {
  #scores;
  #pieces;
  #healed;
  #scan;
  #request;
  #policy;
  #random;
  /** Code points before the cursor. */
  #before;

  /**
   * @param {import("./scores.js").Scores} scores
   * @param {Pieces} pieces
   * @param {Healed} healed
   * @param {Scan} scan
   * @param {Request} request
   */
  constructor(scores, pieces, healed, scan, request) {
    this.#scores = scores;
    this.#pieces = pieces;
    this.#healed = healed;
    this.#scan = scan;
    this.#request = request;
    this.#policy = request.policy;
    this.#random = this.#policy.temperature > 0 ? randomFrom(this.#policy.seed) : null;
    this.#before = [...request.before].length;
  }

  /**
   * Returns a draft, and what of it is fit to be shown; `onWords` is told while it grows.
   *
   * Null where the first word is less sure than `threshold`. Rejects with an AbortError, and with
   * Refused where bad words are all there is: the token that ends one is banned, at the third try
   * the one that begins it. What was shown before a bad word remains.
   * @param {Map<number, Set<number>>} bans  Tokens not to be taken, by their place.
   * @param {number} threshold
   * @param {OnWords} [onWords]
   * @returns {Promise<[Draft, Suggestion | null]>}
   */
  async grow(bans, threshold, onWords) {
    const draft = new Draft(this.#healed.typed);
    const scans = [this.#scan];
    const taken = new Map(Array.from(bans, ([place, tokens]) => [place, new Set(tokens)]));
    let typed = false;
    for (let tries = TRIES; tries >= 0; tries -= 1) {
      let match = await this.#extend(draft, scans, taken, threshold, onWords);
      if (!match) {
        const suggestion = this.#fit(draft, threshold);
        if (!suggestion || !divides(this.#request.before, suggestion.text)) {
          return [draft, draft.shown];
        }
        match = this.#verdict(suggestion);
        if (!match) return [draft, draft.agreed(suggestion)];
      }
      typed = match.end <= this.#before;
      // Another end for the word; at last another word.
      const point = (tries > 1 ? match.end - 1 : match.start) - this.#before;
      const at = point < 0 ? -1 : unitsIn(draft.text, point);
      const place = Math.max(countUpTo(draft.offsets, at) - 1, 0);
      if (!taken.has(place)) taken.set(place, new Set());
      taken.get(place).add(draft.tokenIds[place]);
      draft.backTo(
        place,
        draft.tokenIds.map((id) => this.#pieces.of[id].length),
      );
      scans.length = place + 1;
    }
    if (!draft.shown) throw new Refused(typed);
    return [draft, draft.shown];
  }

  /**
   * Adds tokens until there is enough, or until a bad word is certain.
   * @param {Draft} draft
   * @param {Scan[]} scans
   * @param {Map<number, Set<number>>} taken
   * @param {number} threshold
   * @param {OnWords} [onWords]
   * @returns {Promise<Match | null>}
   */
  async #extend(draft, scans, taken, threshold, onWords) {
    const room = this.#policy.max_tokens + draft.typed.length;
    while (!draft.ended && draft.tokenIds.length < room && this.#wantsMore(draft, threshold)) {
      const [tokenId, logprob] = await this.#next(draft, taken.get(draft.tokenIds.length));
      const piece = tokenId === null ? "" : this.#pieces.of[tokenId];
      const fresh = piece ? draft.add(tokenId, logprob, piece) : null;
      if (fresh === null) {
        draft.ended = true; // by a control token, or by what is no text
        return null;
      }
      const scan = scans.at(-1).copy();
      scans.push(scan);
      const match = scan.feed(fresh);
      if (match) return match;
      this.#show(draft, scan.safe, threshold, onWords);
    }
    return null;
  }

  /**
   * Notes what is fit to be shown whatever comes, if that is more than before.
   * @param {Draft} draft
   * @param {number} safe  Code points of all the text.
   * @param {number} threshold
   * @param {OnWords} [onWords]
   */
  #show(draft, safe, threshold, onWords) {
    const units = safe < this.#before ? -1 : unitsIn(draft.text, safe - this.#before);
    const fit = this.#fit(draft, threshold, units);
    if (!fit || draft.agreed(fit) !== fit) return;
    if (divides(this.#request.before, fit.text) && !this.#verdict(fit)) {
      draft.shown = fit;
      onWords?.(fit.text);
    }
  }

  /** @param {Suggestion} suggestion */
  #verdict({ text }) {
    const scan = this.#scan.copy();
    return scan.feed(text) ?? scan.end();
  }

  /**
   * Returns a token, the likeliest or one drawn, and the logarithm of its probability.
   *
   * That is its probability among the tokens allowed.
   * @param {Draft} draft
   * @param {Set<number>} [banned]
   * @returns {Promise<[number | null, number]>}
   */
  async #next(draft, banned) {
    const prompt = [...this.#healed.tokenIds, ...draft.tokenIds];
    const logits = await this.#scores.after(prompt, this.#request.signal);
    const rest = draft.typed.slice(draft.raw.length);
    const ids = rest ? this.#pieces.fitting(rest) : null;
    return choose(logits, ids, banned, this.#policy.temperature, this.#random);
  }

  /**
   * @param {Draft} draft
   * @param {number} threshold
   */
  #wantsMore(draft, threshold) {
    const { text } = draft;
    if (text.includes("\n") || sentenceEnd(text) !== null) return false;
    const parts = partsOf(text);
    const growing = parts.at(-1)?.end === text.length;
    const words = parts.filter((part) => part.isWord).length;
    const most = this.#policy.max_words;
    if (words > most || (words === most && !(growing && parts.at(-1).isWord))) return false;
    // A word grows less likely with every token: what is below the bar stays there.
    const ends = parts.map((part) => part.end);
    const logprobs = draft.sums(growing ? ends.slice(0, -1) : ends);
    return logprobs.every((logprob, i) => this.#sure(i, logprob, threshold));
  }

  /**
   * @param {number} part
   * @param {number} logprob
   * @param {number} threshold
   */
  #sure(part, logprob, threshold) {
    return calibrated(logprob) >= (part ? this.#policy.confidence : threshold);
  }

  /**
   * Returns the whole words of a draft that are sure enough, null where there are none.
   *
   * Where `safe` is given: of its text up to there, those that no more text changes.
   * @param {Draft} draft
   * @param {number} threshold
   * @param {number | null} safe
   * @returns {Suggestion | null}
   */
  #fit(draft, threshold, safe = null) {
    let [text] = draft.text.split("\n", 1);
    const end = sentenceEnd(draft.text);
    const whole = draft.ended || text !== draft.text || end !== null;
    if (end !== null) text = text.slice(0, end);
    let parts = safe === null ? partsOf(text) : settledParts(text).filter((p) => p.end <= safe);
    if (safe === null && !whole && parts.at(-1)?.end === text.length) parts.pop();
    const logprobs = draft.sums(parts.map((part) => part.end));
    let [count, words] = [0, 0];
    for (const [i, part] of parts.entries()) {
      words += Number(part.isWord);
      if (words > this.#policy.max_words || !this.#sure(i, logprobs[i], threshold)) break;
      count += 1;
    }
    text = text.slice(0, count ? parts[count - 1].end : 0);
    text = text.slice(0, repeatsFrom(text, this.#policy.suffix));
    parts = parts.filter((part) => part.end <= text.length);
    if (!parts.some((part) => part.isWord)) return null;
    const byPart = logprobs.slice(0, parts.length).map((sum) => rounded(calibrated(sum)));
    const tokens = draft.offsets.filter((offset) => offset < parts.at(-1).end).length;
    const logprob = draft.logprobs.slice(0, tokens).reduce((sum, one) => sum + one, 0);
    return { text, confidence: byPart[0], logprob, tokens, by_part: byPart };
  }
}

/**
 * Returns how many code units the first `points` code points of a text have.
 * @param {string} text
 * @param {number} points
 */
function unitsIn(text, points) {
  let units = 0;
  for (const character of text) {
    if (points <= 0) break;
    points -= 1;
    units += character.length;
  }
  return units;
}

/** @param {number} chance */
function rounded(chance) {
  return Math.round(chance * 1e4) / 1e4;
}
