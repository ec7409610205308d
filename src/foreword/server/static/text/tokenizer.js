/**
 * What the text core needs of a model and its tokenizer; nothing here runs.
 *
 * @typedef {object} Tokenizer
 * @property {number} vocabularySize
 * @property {(text: string) => number[]} encode  The token ids of a text, no control token's.
 * @property {(id: number) => Uint8Array} tokenBytes  The bytes that a token stands for, none for a
 *   control token.
 *
 * @typedef {object} TokenModel
 * @property {number} context  Tokens that prompt and continuation have together, at most.
 * @property {number | null} firstToken  The token that every prompt begins with, if any.
 * @property {number[]} endTokens  Tokens with which the model ends a text.
 * @property {Tokenizer} tokenizer
 * @property {number} computedTokens  Tokens computed so far, in all.
 * @property {(ids: number[], signal?: AbortSignal) => Promise<Float32Array>} logits  The scores of
 *   what follows, not to be changed; rejects with an AbortError where it is called off.
 */

export {};
