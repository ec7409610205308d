/** From a model's probability of a word to the chance that it is the writer's. */

// Those of completion/confidence.py.
const SLOPE = 1.032;
const SHIFT = -0.206;

/** Below it there is silence. */
export const DEFAULT_CONFIDENCE = 0.45;

/**
 * Returns the chance that a word is right which the model gives the probability exp(logprob).
 *
 * Platt scaling (Platt 1999) of the log-odds.
 * @param {number} logprob
 */
export function calibrated(logprob) {
  if (logprob >= 0) return 1;
  const odds = logprob - Math.log(-Math.expm1(logprob));
  return 1 / (1 + Math.exp(-(SLOPE * odds + SHIFT)));
}
