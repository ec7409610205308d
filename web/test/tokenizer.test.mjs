import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { heal } from "../../src/foreword/server/static/text/healing.js";
import { keepEnd, keepSteady } from "../../src/foreword/server/static/text/window.js";
import { Tokenizer, UnsupportedTokenizerError } from "../src/tokenizer.js";
import { readJson } from "./golden.mjs";

const { kinds } = readJson("testdata/golden/tokenizer/kinds.json");
const documentOf = (name) => structuredClone(kinds.find((kind) => kind.name === name).tokenizer);

for (const { name, tokenizer: document, cases } of kinds) {
  test(`ids are the committed ones: ${name}`, () => {
    const tokenizer = new Tokenizer(document);
    for (const { text, ids } of cases) assert.deepEqual(tokenizer.encode(text), ids, text);
  });
}

test("the bytes of a text's tokens are the text", () => {
  const text = "the 42 naïve cafés 日本 🇰🇷\n";
  for (const [name, before] of [
    ["digits", ""],
    ["sentencepiece", " "],
    ["runs", ""],
  ]) {
    const tokenizer = new Tokenizer(documentOf(name));
    const pieces = tokenizer.encode(text).map((id) => tokenizer.tokenBytes(id));
    assert.equal(Buffer.concat(pieces).toString(), before + text);
  }
});

test("control tokens have no bytes, other added ones their own, and no id lies beyond", () => {
  const tokenizer = new Tokenizer(documentOf("digits"));
  const last = tokenizer.vocabularySize - 1;
  assert.deepEqual(
    [last - 2, last - 1, last].map((id) => Buffer.from(tokenizer.tokenBytes(id)).toString()),
    ["", "<keep>", "the"],
  );
  for (const id of [-1, last + 1, 0.5]) {
    assert.throws(() => tokenizer.tokenBytes(id), RangeError);
  }
});

test("half a pair of surrogates is a replacement character", () => {
  const tokenizer = new Tokenizer(documentOf("digits"));
  assert.deepEqual(tokenizer.encode("a\ud83d"), tokenizer.encode("a\ufffd"));
});

test("what cannot be followed is refused", () => {
  const changes = [
    (document) => (document.model.type = "Unigram"),
    (document) => (document.model.end_of_word_suffix = "</w>"),
    (document) => (document.normalizer = { type: "Precompiled", precompiled_charsmap: "" }),
    (document) => (document.pre_tokenizer = { type: "UnicodeScripts" }),
    (document) => (document.added_tokens[1].single_word = true),
    (document) => (document.decoder = { type: "WordPiece" }),
  ];
  for (const change of changes) {
    const document = documentOf("digits");
    change(document);
    assert.throws(() => new Tokenizer(document), UnsupportedTokenizerError);
  }
});

// The default model's tokenizer.json is not in the repository: where it is says whoever runs this.
const path = process.env.FOREWORD_TOKENIZER;

test("the default model's ids, windows and healing are the committed ones", { skip: !path }, () => {
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(path, "utf-8")));
  for (const { text, ids } of readJson("testdata/golden/tokenizer/smollm2.json").cases) {
    assert.deepEqual(tokenizer.encode(text), ids, text);
  }
  const { windows, healing } = readJson("testdata/golden/window.json");
  for (const { text, limit, end, steady } of windows) {
    const ids = tokenizer.encode(text);
    assert.equal(keepEnd(ids, limit, tokenizer).dropped, end, text);
    assert.equal(keepSteady(ids, limit, tokenizer).dropped, steady, text);
  }
  for (const { text, kept_tokens: kept, typed } of healing) {
    const healed = heal(tokenizer.encode(text), tokenizer);
    assert.equal(healed.tokenIds.length, kept, text);
    assert.equal(Buffer.from(healed.typed, "latin1").toString(), typed, text);
  }
});
