import assert from "node:assert/strict";
import test from "node:test";

import { difference, Marks } from "../../src/foreword/server/static/page/marks.js";

const at = (marks) => marks.ranges.map(({ start, end }) => [start, end]);

function edited(before, after, ranges = [[4, 8]]) {
  const marks = new Marks();
  for (const [start, end] of ranges) marks.add(start, end, 0);
  marks.edited(before, after);
  return at(marks);
}

test("what is typed before a mark moves it, after it does not", () => {
  assert.deepEqual(edited("abc MARK def", "abc? MARK def"), [[5, 9]]);
  assert.deepEqual(edited("abc MARK def", "abc MARK! def"), [[4, 8]]);
  assert.deepEqual(edited("abc MARK", "abc "), []);
});

test("what is typed inside is no part of it", () => {
  assert.deepEqual(edited("abc MARK def", "abc MAxxRK def"), [[4, 6], [8, 10]]);
});

test("what is deleted across an edge leaves the rest", () => {
  assert.deepEqual(edited("abc MARK def", "aRK def"), [[1, 3]]);
  assert.deepEqual(edited("abc MARK def", "abc MAf"), [[4, 6]]);
  assert.deepEqual(edited("abc MARK def", "xyz"), []);
});

test("random edits keep every mark on its own letters", () => {
  let seed = 7;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 300; round += 1) {
    let text = "lower UPPER lower UPPER lower";
    const marks = new Marks();
    marks.add(6, 11, 0);
    marks.add(18, 23, 0);
    for (let step = 0; step < 6; step += 1) {
      const start = random(text.length + 1);
      const end = start + random(text.length - start + 1);
      const after = text.slice(0, start) + "z".repeat(random(4)) + text.slice(end);
      marks.edited(text, after);
      text = after;
      for (const range of marks.ranges) {
        assert.match(text.slice(range.start, range.end), /^[A-Z]+$/);
      }
      const marked = at(marks).map(([from, to]) => to - from);
      const upper = text.match(/[A-Z]/g)?.length ?? 0;
      assert.equal(marked.reduce((sum, size) => sum + size, 0), upper);
    }
  }
});

test("a difference is one stretch, and none where texts are the same", () => {
  assert.deepEqual(difference("aaa", "aaaa"), { start: 3, end: 3, moved: 1 });
  assert.deepEqual(difference("same", "same"), { start: 4, end: 4, moved: 0 });
  assert.deepEqual(difference("", "new"), { start: 0, end: 0, moved: 3 });
});

test("parts between two places are counted from the first", () => {
  const marks = new Marks();
  marks.add(10, 20, 5);
  assert.deepEqual(marks.between(15, 30), [{ start: 0, end: 5, born: 5 }]);
  assert.deepEqual(marks.between(20, 30), []);
  assert.equal(marks.forget(4), false);
  assert.equal(marks.forget(5), true);
});
