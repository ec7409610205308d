/**
 * What is asked of a suggestion, and what comes back: the fields of /v1/suggest.
 *
 * @typedef {object} Policy  How much of the text is looked at, how much is suggested, and when
 *   there is silence; what is left out or null has its default.
 * @property {number | null} [context_tokens]  By default half of the model's context.
 * @property {number | null} [context_words]
 * @property {number | null} [max_words]
 * @property {number | null} [max_tokens]
 * @property {number | null} [alternatives]
 * @property {number | null} [confidence]
 * @property {number | null} [temperature]  0 takes the likeliest tokens; above it they are drawn.
 * @property {number | null} [seed]
 * @property {string} [suffix]  The text after the cursor, which is not suggested again.
 *
 * @typedef {object} Suggestion  The rest of the word that is typed, then whole words.
 * @property {string} text
 * @property {number | null} confidence  The chance that the first word is the writer's.
 * @property {number | null} logprob  The sum of its tokens' natural logarithms.
 * @property {number} tokens
 * @property {number[]} by_part  The chance of every word and run of marks, given those before it.
 *
 * @typedef {object} Answer  `items`, the best first; none is silence, or a refusal.
 * @property {Suggestion[]} items
 * @property {null | "input" | "output"} refused
 * @property {number} context_tokens  Tokens that were looked at.
 * @property {number} dropped_tokens  Those before them.
 * @property {number} computed_tokens  Those that ran through the model.
 * @property {number} latency_ms
 *
 * @typedef {(text: string) => void} OnWords  Takes the text of the first suggestion as it grows;
 *   what it was given is never taken back.
 */

import { DEFAULT_CONFIDENCE } from "./confidence.js";

const DEFAULTS = {
  context_tokens: null,
  context_words: null,
  max_words: 4,
  max_tokens: 16,
  alternatives: 1,
  confidence: DEFAULT_CONFIDENCE,
  temperature: 0,
  seed: null,
  suffix: "",
};

/** The least and the most of every number. */
const RANGES = {
  context_tokens: [1, Infinity],
  context_words: [1, Infinity],
  max_words: [1, 100],
  max_tokens: [1, 256],
  alternatives: [1, 16],
  confidence: [0, 1],
  temperature: [0, 2],
  seed: [0, Infinity],
};

/**
 * Returns a policy with all its fields; throws a RangeError for values outside their range.
 * @param {Policy} policy
 */
export function wholePolicy(policy = {}) {
  const whole = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) whole[name] = policy[name] ?? whole[name];
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = whole[name];
    if (value !== null && !(value >= least && value <= most)) {
      const range = most === Infinity ? `${least} or more` : `${least} to ${most}`;
      throw new RangeError(`${name}: expected ${range}, found ${value}`);
    }
  }
  return whole;
}
