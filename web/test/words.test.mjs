import assert from "node:assert/strict";
import test from "node:test";

import * as words from "../../src/foreword/server/static/text/words.js";
import { pointsTo, readJson } from "./golden.mjs";

const golden = readJson("testdata/golden/window.json");

test("words are the committed ones", () => {
  for (const { text, ends, words: flags, ...rest } of golden.words) {
    const parts = words.partsOf(text);
    assert.deepEqual(
      parts.map(({ end }) => pointsTo(text, end)),
      ends,
      text,
    );
    assert.deepEqual(
      parts.map(({ isWord }) => isWord),
      flags,
      text,
    );
    assert.equal(words.lastWords(text, 2), rest.last_two_words);
    assert.equal(words.firstWord(text), rest.first_word);
    const end = words.sentenceEnd(text);
    assert.equal(end === null ? null : pointsTo(text, end), rest.sentence_end, text);
  }
});

test("what follows is not said twice", () => {
  for (const [text, following, left] of [
    [" sat on the", " on the mat", " sat"],
    ["sat on the", "on the mat", "sat "],
    [" sat on", "  on\nthe", " sat"],
    [" mat. It", ".", " mat"],
    [" sat the", " they said", " sat the"],
    [" sat", "\n sat", " sat"],
    ["커피 한 잔", " 한 잔 더", "커피"],
    ["我在图书馆", "书馆学习", "我在图"],
  ]) {
    assert.equal(text.slice(0, words.repeatsFrom(text, following)), left);
  }
});

test("a flag, a family and a half typed syllable are one character each", () => {
  assert.deepEqual(words.characters("🇩🇪👨‍👩‍👧e\u0301"), ["🇩🇪", "👨‍👩‍👧", "e\u0301"]);
  assert.equal(words.divides("👨‍", "👩"), false);
  assert.equal(words.divides("ㅎ", "ㅏ"), true);
  assert.equal(words.divides("\u1112", "\u1161"), false);
});

test("settled parts stay whatever is written behind them", () => {
  const signs = [..."ab1.'-_ !\u0301한ㅏ日👨\u200d🇩\n"];
  let state = 1;
  const draw = (count) => (state = (state * 48271) % 0x7fffffff) % count;
  for (let round = 0; round < 3000; round += 1) {
    const text = Array.from({ length: draw(10) }, () => signs[draw(signs.length)]).join("");
    const more = Array.from({ length: draw(4) }, () => signs[draw(signs.length)]).join("");
    const settled = words.settledParts(text);
    assert.deepEqual(words.partsOf(text + more).slice(0, settled.length), settled);
  }
});
