/**
 * The rules of a tokenizer.json in words that the package `@huggingface/tokenizers` follows as its
 * Rust original does.
 *
 * The package knows fewer behaviours of a cut than the original, takes some kinds of white space
 * and digits otherwise, and finds control tokens in typed text. What it cannot say at all is
 * refused: a wrong token is worse than none.
 */

const NORMALIZERS = ["Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Prepend", "Replace", "Strip"];
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const PUNCTUATION = "[\\p{P}!-/:-@\\[-`{-~]";
const SPACE = "▁";

/** A tokenizer that is not one of those that can be followed here. */
export class UnsupportedTokenizerError extends Error {
  /** @param {string} found */
  constructor(found) {
    super(`this tokenizer is beyond the browser: ${found}`);
    this.name = "UnsupportedTokenizerError";
  }
}

/**
 * Returns a tokenizer.json that the package follows; throws UnsupportedTokenizerError.
 * @param {any} document
 */
export function followable(document) {
  const { model } = document;
  if ((model?.type ?? "BPE") !== "BPE") throw new UnsupportedTokenizerError(model.type);
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    if (model[name]) throw new UnsupportedTokenizerError(name);
  }
  // What is typed is text, even where it spells a control token.
  const added = (document.added_tokens ?? []).filter(({ special }) => !special);
  if (added.some((token) => token.single_word)) throw new UnsupportedTokenizerError("single_word");
  const cuts = [...stepsOf(document.pre_tokenizer, "pretokenizers")].flatMap(cutOf);
  if (cutsAtSpaces(model)) cuts.push(split(`${SPACE}+[^${SPACE}]*`));
  return {
    added_tokens: added,
    normalizer: normalizerOf(document.normalizer),
    pre_tokenizer: cuts.length > 0 ? { type: "Sequence", pretokenizers: cuts } : null,
    model: { ...model, type: "BPE" },
    decoder: null,
    post_processor: null,
  };
}

/**
 * The steps of a rule, those of sequences in it too.
 * @param {any} rule
 * @param {string} key  Where a sequence has its steps.
 * @returns {any[]}
 */
function stepsOf(rule, key) {
  if (!rule) return [];
  if (rule.type !== "Sequence") return [rule];
  return rule[key].flatMap((step) => stepsOf(step, key));
}

/** @param {any} rule */
function normalizerOf(rule) {
  const steps = stepsOf(rule, "normalizers");
  const strange = steps.find((step) => !NORMALIZERS.includes(step.type));
  if (strange) throw new UnsupportedTokenizerError(strange.type);
  return steps.length > 0 ? { type: "Sequence", normalizers: steps } : null;
}

/** @param {any} step */
function cutOf(step) {
  switch (step.type) {
    case "Split":
      return [splitBy(sourceOf(step.pattern), step.behavior, step.invert)];
    case "Digits":
      return [split(step.individual_digits ? "\\p{N}" : "\\p{N}+")];
    case "Punctuation":
      return [splitBy(PUNCTUATION, step.behavior ?? "Isolated", false)];
    case "ByteLevel":
      return byteLevel(step);
    case "Metaspace":
      return metaspace(step);
    default:
      throw new UnsupportedTokenizerError(step.type);
  }
}

/** @param {any} step */
function byteLevel({ add_prefix_space: prefix, use_regex: cut = true }) {
  const pattern = { Regex: "\\A[^ ]" };
  return [
    ...(prefix ? [{ type: "Replace", pattern, content: " $&" }] : []),
    ...(cut ? [split(GPT2)] : []),
    { type: "ByteLevel", add_prefix_space: false, use_regex: false },
  ];
}

/** @param {any} step */
function metaspace({ replacement = SPACE, add_prefix_space: prefix = true, ...step }) {
  const prepend_scheme = step.prepend_scheme ?? (prefix ? "always" : "never");
  const mark = { type: "Metaspace", replacement, prepend_scheme };
  const cut = splitBy(escaped(replacement), "MergedWithNext", false);
  return step.split === false ? [mark] : [mark, cut];
}

/**
 * @param {string} source
 * @param {string} behavior
 * @param {boolean} invert
 */
function splitBy(source, behavior, invert) {
  const gap = `(?:(?!(?:${source}))[\\s\\S])*`;
  switch (behavior) {
    case "Removed":
      return { ...split(source), behavior, invert };
    case "Isolated":
      return split(source); // the same pieces, whichever of them are called matches
    case "Contiguous":
      return split(`(?:${source})+`);
    case "MergedWithPrevious":
      return split(`${gap}(?:${source})`);
    case "MergedWithNext":
      return split(`(?:${source})${gap}`);
    default:
      throw new UnsupportedTokenizerError(behavior);
  }
}

/** @param {string} source  A pattern, around whose matches is cut. */
function split(source) {
  return { type: "Split", pattern: { Regex: source }, behavior: "Isolated", invert: false };
}

/** @param {{Regex?: string, String?: string}} pattern */
function sourceOf({ Regex, String: text }) {
  return Regex ?? escaped(text ?? "");
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/**
 * Whether text may be cut before its runs of spaces, as no merge reaches across: SentencePiece has
 * no cuts of its own, and a whole text is slow to merge.
 * @param {any} model
 */
function cutsAtSpaces({ byte_fallback: fallback, ignore_merges: whole, merges }) {
  const across = new RegExp(`[^${SPACE}]${SPACE}`);
  const joins = (merge) =>
    across.test(typeof merge === "string" ? merge.replace(" ", "") : merge.join(""));
  return fallback && !whole && !merges.some(joins);
}
