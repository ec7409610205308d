/**
 * One writer at one text: what is shown, what was typed since, what comes next.
 *
 * @typedef {import("./suggestion.js").Answer & {superseded?: boolean}} Answer
 * @typedef {import("./suggestion.js").OnWords} OnWords
 * @typedef {import("./suggestion.js").Policy} Policy
 * @typedef {import("./suggestion.js").Suggestion} Suggestion
 *
 * @typedef {object} Suggester  A completer, or a server.
 * @property {(text: string, policy: Policy, signal?: AbortSignal, onWords?: OnWords)
 *   => Promise<Answer>} suggest
 */

import { firstWord, partsOf } from "./words.js";

/** Alternatives that are looked for when the writer wants to see another. */
const MORE = 3;

/** Suggestions for a text as it is typed; letters that agree with one cost no model call. */
export class Session {
  #completer;
  #policy;
  /** @type {string | null} What the answer follows. */
  #text = null;
  /** What follows it. */
  #suffix = "";
  /** @type {Answer | null} */
  #answer = null;
  #dismissed = false;
  /** @type {{text: string, suffix: string, answer: Answer} | null} */
  #ahead = null;

  /**
   * @param {Suggester} completer
   * @param {Policy} policy
   */
  constructor(completer, policy = {}) {
    this.#completer = completer;
    this.#policy = policy;
  }

  /**
   * Returns what may follow a text, the one to be shown first; see `Completer.suggest`.
   *
   * `onWords` is told only of what is not known already.
   * @param {string} text
   * @param {AbortSignal} [signal]
   * @param {OnWords} [onWords]
   * @param {string} [suffix]
   * @returns {Promise<Answer>}
   */
  async suggest(text, signal, onWords, suffix = this.#policy.suffix ?? "") {
    const started = performance.now();
    let kept = suffix === this.#suffix ? this.#kept(text) : null;
    if (!kept) {
      kept = await this.#found(text, signal, onWords, suffix);
      this.#dismissed = false;
      if (kept.superseded) return kept;
      [this.#text, this.#suffix, this.#answer] = [text, suffix, kept];
    }
    const items = this.#dismissed ? [] : kept.items;
    return { ...kept, items, latency_ms: performance.now() - started };
  }

  /**
   * Returns the text after its suggestion, or the next word of it, is accepted.
   * @param {string} text
   * @param {"all" | "word"} part
   */
  accept(text, part = "all") {
    const kept = this.#dismissed ? null : this.#kept(text);
    if (!kept || kept.items.length === 0) return text;
    const suggestion = kept.items[0].text;
    return text + (part === "all" ? suggestion : firstWord(suggestion));
  }

  /** Shows nothing until the text is no longer one that the suggestion goes on from. */
  dismiss() {
    this.#dismissed = true;
  }

  /**
   * Returns the same suggestions with the next one first; more are found if there is one.
   * @param {string} text
   * @param {AbortSignal} [signal]
   * @param {string} [suffix]
   * @returns {Promise<Answer>}
   */
  async next(text, signal, suffix = this.#policy.suffix ?? "") {
    let answer = await this.suggest(text, signal, undefined, suffix);
    if (answer.items.length === 1 && (this.#policy.alternatives ?? 1) < MORE) {
      const policy = { ...this.#policy, suffix, alternatives: MORE };
      const more = await this.#completer.suggest(text, policy, signal);
      if (more.superseded) return more;
      const [shown] = answer.items;
      const others = more.items.filter((item) => item.text !== shown.text);
      answer = { ...more, items: [shown, ...others] };
    }
    if (answer.items.length > 0) {
      const [shown, ...others] = answer.items;
      answer = { ...answer, items: [...others, shown] };
      [this.#text, this.#answer] = [text, answer];
    }
    return answer;
  }

  /**
   * Finds what may follow a text whose suggestion is accepted, while nobody waits for it.
   * @param {string} text
   * @param {AbortSignal} [signal]
   * @param {string} [suffix]
   */
  async prefetch(text, signal, suffix = this.#policy.suffix ?? "") {
    const accepted = this.accept(text);
    if (accepted === text || this.#isAhead(accepted, suffix)) return;
    const policy = { ...this.#policy, suffix };
    const answer = await this.#completer.suggest(accepted, policy, signal);
    if (!answer.superseded) this.#ahead = { text: accepted, suffix, answer };
  }

  /**
   * @param {string} text
   * @param {AbortSignal | undefined} signal
   * @param {OnWords | undefined} onWords
   * @param {string} suffix
   */
  async #found(text, signal, onWords, suffix) {
    if (this.#isAhead(text, suffix)) return { ...this.#ahead.answer, computed_tokens: 0 };
    return this.#completer.suggest(text, { ...this.#policy, suffix }, signal, onWords);
  }

  /**
   * @param {string} text
   * @param {string} suffix
   */
  #isAhead(text, suffix) {
    return this.#ahead?.text === text && this.#ahead.suffix === suffix;
  }

  /**
   * Returns what is left of the last answer for a text, null where nothing is.
   * @param {string} text
   * @returns {Answer | null}
   */
  #kept(text) {
    if (this.#text === null || !text.startsWith(this.#text)) return null;
    const typed = text.slice(this.#text.length);
    if (!typed) return { ...this.#answer, computed_tokens: 0 };
    const left = this.#answer.items
      .filter((item) => item.text.startsWith(typed) && item.text !== typed)
      .map((item) => rest(item, typed.length));
    return left.length > 0 ? { ...this.#answer, items: left, computed_tokens: 0 } : null;
  }
}

/**
 * Returns what is left of a suggestion, as sure as its next word is.
 * @param {Suggestion} item
 * @param {number} typed
 * @returns {Suggestion}
 */
function rest(item, typed) {
  const done = partsOf(item.text).filter((part) => part.end <= typed).length;
  const byPart = item.by_part.slice(done);
  const text = item.text.slice(typed);
  return { ...item, text, confidence: byPart[0] ?? item.confidence, by_part: byPart };
}
